"""The requests that the page about other languages shows are ones of the contract, and the daemon takes them."""

import re
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import Default
from tests.docs.pages import DOCS
from tests.support.daemons import DaemonProcess

from lastgood_proto.v1 import checkpoints_pb2, history_pb2, server_pb2, state_pb2

SERVICES = (checkpoints_pb2, history_pb2, server_pb2, state_pb2)  # imported, so that the pool knows them
REQUEST = re.compile(r"-d '(?P<request>.*?)' +(?:\\\n *)?\"\$S\" (?P<service>[\w.]+)/(?P<method>\w+)", re.DOTALL)


def test_the_calls(own_daemon: DaemonProcess) -> None:
    shown = list(REQUEST.finditer((DOCS / "guide" / "languages.md").read_text("utf-8")))
    assert [call["method"] for call in shown] == ["Set", "CreateSnapshot", "Restore", "Read"]
    with grpc.insecure_channel(own_daemon.address) as channel:
        for call in shown:
            method = Default().FindServiceByName(call["service"]).FindMethodByName(call["method"])
            request = json_format.Parse(call["request"], message_factory.GetMessageClass(method.input_type)())
            send: Any = channel.unary_unary(
                f"/{call['service']}/{call['method']}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
            )
            answer = send(request, timeout=20)
    assert answer.value.json == '["a","b"]'
