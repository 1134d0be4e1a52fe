// Everything in the library.
#pragma once

#include <asyncfs/buffer.hpp>
#include <asyncfs/directory.hpp>
#include <asyncfs/engine.hpp>
#include <asyncfs/event_count.hpp>
#include <asyncfs/file.hpp>
#include <asyncfs/files.hpp>
#include <asyncfs/future.hpp>
#include <asyncfs/loop.hpp>
#include <asyncfs/nop.hpp>
#include <asyncfs/offload.hpp>
#include <asyncfs/opcode.hpp>
#include <asyncfs/operation.hpp>
#include <asyncfs/result.hpp>
#include <asyncfs/run.hpp>
#include <asyncfs/scope.hpp>
#include <asyncfs/socket.hpp>
#include <asyncfs/task.hpp>
#include <asyncfs/timer.hpp>
#include <asyncfs/walk.hpp>
#include <asyncfs/when.hpp>
