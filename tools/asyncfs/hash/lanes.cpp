#include "hash/lanes.hpp"

#ifdef ASYNCFS_HAS_IPSEC_MB
#include <intel-ipsec-mb.h>

#include <new>
#include <stdexcept>
#endif

namespace tool {

#ifdef ASYNCFS_HAS_IPSEC_MB

namespace {

IMB_HASH_ALG hash_of(algorithm which) noexcept {
  switch (which) {
    case algorithm::sha1: return IMB_AUTH_SHA_1;
    case algorithm::sha224: return IMB_AUTH_SHA_224;
    case algorithm::sha256: return IMB_AUTH_SHA_256;
    case algorithm::sha384: return IMB_AUTH_SHA_384;
    case algorithm::sha512: return IMB_AUTH_SHA_512;
    default: return IMB_AUTH_NULL;
  }
}

}  // namespace

struct digest_lanes::manager {
  struct release {
    void operator()(IMB_MGR* manager) const noexcept { free_mb_mgr(manager); }
  };
  std::unique_ptr<IMB_MGR, release> of{alloc_mb_mgr(0)};
};

std::unique_ptr<digest_lanes> digest_lanes::make(algorithm which, done_handler done) {
  if (hash_of(which) == IMB_AUTH_NULL) return nullptr;
  auto by = std::make_unique<manager>();
  if (!by->of) throw std::bad_alloc();
  init_mb_mgr_auto(by->of.get(), nullptr);
  if ((by->of->features & IMB_FEATURE_AVX2) == 0) return nullptr;
  return std::unique_ptr<digest_lanes>(new digest_lanes(which, std::move(by), std::move(done)));
}

digest_lanes::digest_lanes(algorithm which, std::unique_ptr<manager> by, done_handler done)
    : which_(which), manager_(std::move(by)), done_(std::move(done)) {}
digest_lanes::~digest_lanes() = default;

void digest_lanes::submit(message& next) {
  IMB_MGR* const lanes = manager_->of.get();
  IMB_JOB* const job = IMB_GET_NEXT_JOB(lanes);
  *job = IMB_JOB{};
  next.digest.size = describe(which_).bytes;
  job->cipher_mode = IMB_CIPHER_NULL;
  job->cipher_direction = IMB_DIR_ENCRYPT;
  job->chain_order = IMB_ORDER_HASH_CIPHER;
  job->hash_alg = hash_of(which_);
  job->src = reinterpret_cast<const std::uint8_t*>(next.bytes.data());
  job->msg_len_to_hash_in_bytes = next.bytes.size();
  job->auth_tag_output = next.digest.bytes.data();
  job->auth_tag_output_len_in_bytes = next.digest.size;
  job->user_data = &next;
  ++busy_;
  for (const IMB_JOB* ended = IMB_SUBMIT_JOB(lanes); ended != nullptr; ended = IMB_GET_COMPLETED_JOB(lanes))
    take(ended);
}

void digest_lanes::flush() {
  IMB_MGR* const lanes = manager_->of.get();
  while (busy_ > 0) {
    const IMB_JOB* const ended = IMB_FLUSH_JOB(lanes);
    if (ended == nullptr) throw std::runtime_error("the multi-buffer library lost a digest");
    take(ended);
  }
}

void digest_lanes::take(const void* ended) {
  const auto& job = *static_cast<const IMB_JOB*>(ended);
  if (job.status != IMB_STATUS_COMPLETED)
    throw std::runtime_error("the multi-buffer library failed to compute a digest");
  --busy_;
  done_(*static_cast<message*>(job.user_data));
}

#else

struct digest_lanes::manager {};
std::unique_ptr<digest_lanes> digest_lanes::make(algorithm, done_handler) { return nullptr; }
digest_lanes::digest_lanes(algorithm which, std::unique_ptr<manager> by, done_handler done)
    : which_(which), manager_(std::move(by)), done_(std::move(done)) {}
digest_lanes::~digest_lanes() = default;
void digest_lanes::submit(message&) {}
void digest_lanes::flush() {}
void digest_lanes::take(const void*) {}

#endif

}  // namespace tool
