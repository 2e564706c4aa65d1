#pragma once

namespace sextant {

/// Which part of a request's life a replica serves.
enum class ReplicaRole { whole, prefill, decode };

/// Whose token the client sees first. decode: vLLM's proxy asks the prefill replica for one token, drops it
/// and streams from the decode replica, which computes the prompt's last token again. prefill: the prefill
/// replica's token goes to the client and the decode replica goes on with the second, as Dynamo and
/// TensorRT-LLM do.
enum class FirstToken { decode, prefill };

/// How a prompt's KV comes to the decode replica, by vLLM's name of its connector. nixl (NixlConnector): the
/// decode replica pulls all of it when it has room, after the prefill. p2p_nccl (P2pNcclConnector): in the
/// pass of the prompt's last chunk each GPU of the prefill replica sends layer after layer as they are
/// computed to the GPU of its rank in a decode replica chosen at arrival, and the pass ends only when the
/// last layer is on its way.
enum class KvConnector { nixl, p2p_nccl };

}  // namespace sextant
