"""Peers: other people's kernels for the same task, measured on the same board.

A peer is asked with ``measure(task, board, data)``, once, or with ``start(task, board, data)`` for
a process that runs the operator whenever it is told, so that runs of several can be interleaved.
"""

from __future__ import annotations

from tvm_ops.errors import InputError
from tvm_ops.peers.handwritten import Handwritten
from tvm_ops.peers.mnn import Mnn
from tvm_ops.peers.ncnn import Ncnn
from tvm_ops.peers.onnxruntime import OnnxRuntime
from tvm_ops.peers.peer import Peer, PeerResult
from tvm_ops.peers.process import PeerFailed
from tvm_ops.peers.xnnpack import Xnnpack

__all__ = ["PEERS", "Peer", "PeerFailed", "PeerResult", "get_peer"]

_ALL: tuple[Peer, ...] = (
    Ncnn("ncnn", winograd=True),
    Ncnn("ncnn-nowinograd", winograd=False),
    Mnn("mnn"),
    Xnnpack("xnnpack"),
    OnnxRuntime("onnxruntime"),
    Handwritten(),
)
PEERS = {peer.name: peer for peer in _ALL}
"""By name, in the order of the comparison's columns."""


def get_peer(name: str) -> Peer:
    """The peer of that name; raises ``InputError`` naming the known ones."""
    if name not in PEERS:
        raise InputError(f"unknown peer '{name}'; known: {', '.join(PEERS)}")
    return PEERS[name]
