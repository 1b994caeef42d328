/*
 * The generation of the nftables ruleset of this network namespace: a number that the kernel increases with each
 * transaction of any program. One message and its answer, some microseconds; running nft(8) to see whether something
 * changed costs a thousand times as much (src/firewall/watch-nft.ts). Only for Linux.
 */
#define NAPI_VERSION 8
#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <node_api.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_BYTES = 8192 };

struct request {
  struct nlmsghdr head;
  struct nfgenmsg family;
};

/* Open from the first call to the end of the process. */
static int netlink = -1;
static uint32_t sequence;

static int open_netlink(void) {
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
  if (fd < 0) return -1;
  /* Connected: what other processes send to us is not delivered. */
  if (connect(fd, (struct sockaddr *)&kernel, sizeof kernel) == 0) return fd;
  close(fd);
  return -1;
}

/* Finds the number in an answer of `length` bytes; 0 if it is not one, or not ours. */
static int read_answer(const char *bytes, size_t length, uint32_t *generation) {
  struct nlmsghdr head;
  struct nlattr attribute;
  const uint16_t type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN;
  if (length < sizeof head) return 0;
  memcpy(&head, bytes, sizeof head);
  if (head.nlmsg_seq != sequence || head.nlmsg_type != type || head.nlmsg_len > length) return 0;
  size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));
  while (at + sizeof attribute <= head.nlmsg_len) {
    memcpy(&attribute, bytes + at, sizeof attribute);
    if (attribute.nla_len < sizeof attribute || at + attribute.nla_len > head.nlmsg_len) return 0;
    if ((attribute.nla_type & NLA_TYPE_MASK) == NFTA_GEN_ID && attribute.nla_len >= NLA_HDRLEN + sizeof *generation) {
      memcpy(generation, bytes + at + NLA_HDRLEN, sizeof *generation);
      *generation = ntohl(*generation);
      return 1;
    }
    at += NLA_ALIGN(attribute.nla_len);
  }
  return 0;
}

/* The kernel answers while the request is being sent, so that nothing has to be waited for. */
static int ask(uint32_t *generation) {
  char answer[ANSWER_BYTES];
  struct request request = {
      .head =
          {
              .nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
              .nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN,
              .nlmsg_flags = NLM_F_REQUEST,
              .nlmsg_seq = ++sequence,
          },
      .family = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
  };
  if (netlink < 0 && (netlink = open_netlink()) < 0) return 0;
  if (send(netlink, &request, request.head.nlmsg_len, 0) < 0) return 0;
  for (;;) {
    ssize_t length = recv(netlink, answer, sizeof answer, 0);
    if (length < 0) return 0;
    if (read_answer(answer, (size_t)length, generation)) return 1;
  }
}

/* readGeneration(): a number, or undefined without the rights, nftables, or an answer. */
static napi_value read_generation(napi_env env, napi_callback_info info) {
  uint32_t generation;
  napi_value value;
  (void)info;
  if (!ask(&generation)) return NULL;
  napi_create_uint32(env, generation, &value);
  return value;
}

static napi_value init(napi_env env, napi_value exports) {
  const napi_property_descriptor calls[] = {
      {"readGeneration", NULL, read_generation, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof calls / sizeof calls[0], calls);
  return exports;
}

NAPI_MODULE(nft_generation, init)
