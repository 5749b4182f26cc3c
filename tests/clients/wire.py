"""The providers' answers, as they are on the wire."""

import base64
import json
import struct

WORDS = ["Grüße", " aus", " 東京", "."]
TEXT = "".join(WORDS)
VECTOR = [0.25, -0.5, 0.75]

ARGUMENTS = ['{"city": ', '"Paris"}']


def answer(path, request):
    """The answer of a provider that is well: JSON, or a list of events."""
    stream = request.get("stream")
    match path:
        case "/v1/chat/completions":
            return chat_events(request) if stream else chat(request)
        case "/v1/completions":
            return completion(request)
        case "/v1/embeddings":
            return embeddings(request)
        case "/v1/responses":
            return response_events(request) if stream else response(request)
        case "/v1/messages":
            return message_events(request) if stream else message(request)
        case "/v1/messages/count_tokens":
            return {"input_tokens": 9}
    raise ValueError(path)


# OpenAI

USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def chat(request):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": TEXT}}
    if request.get("tools"):
        call = {"id": "call_1", "type": "function"}
        call["function"] = {"name": "weather", "arguments": "".join(ARGUMENTS)}
        choice["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice["finish_reason"] = "tool_calls"
    return {**_chat("chat.completion", request), "choices": [choice], "usage": USAGE}


def chat_events(request):
    head = _chat("chat.completion.chunk", request)

    def chunk(delta, finish_reason=None):
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    if request.get("tools"):
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        more = [{"index": 0, "function": {"arguments": part}} for part in ARGUMENTS]
        chunks = [chunk({"tool_calls": [call]}) for call in [call, *more]]
        chunks.append(chunk({}, "tool_calls"))
    else:
        chunks = [chunk({"role": "assistant", "content": ""})]
        chunks += [chunk({"content": word}) for word in WORDS]
        chunks.append(chunk({}, "stop"))
    if (request.get("stream_options") or {}).get("include_usage"):
        chunks = [{**chunk, "usage": None} for chunk in chunks]
        chunks.append({**head, "choices": [], "usage": USAGE})
    return [data(chunk) for chunk in chunks] + ["data: [DONE]\n\n"]


def _chat(object, request):
    return {"id": "chatcmpl-1", "object": object, "created": 1700000000, "model": request["model"]}


def completion(request):
    choice = {"index": 0, "text": TEXT, "finish_reason": "length", "logprobs": None}
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": request["model"]}
    usage = {name: USAGE[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    return {**head, "choices": [choice], "usage": usage}


def embeddings(request):
    texts = [request["input"]] if isinstance(request["input"], str) else request["input"]
    vector = VECTOR
    if request.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<3f", *VECTOR)).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(texts))]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return {"object": "list", "model": request["model"], "data": data, "usage": usage}


def response(request, status="completed"):
    part = {"type": "output_text", "text": TEXT, "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 14,
    }
    done = status == "completed"
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": request["model"],
        "output": [item] if done else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage if done else None,
    }


def response_events(request):
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    done = response(request)
    events = [
        {"type": "response.created", "response": response(request, "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **at, "part": part},
        *({"type": "response.output_text.delta", **at, "delta": word, "logprobs": []} for word in WORDS),
        {"type": "response.output_text.done", **at, "text": TEXT, "logprobs": []},
        {"type": "response.output_item.done", "output_index": 0, "item": done["output"][0]},
        {"type": "response.completed", "response": done},
    ]
    return [named({**event, "sequence_number": number}) for number, event in enumerate(events)]


def openai_error(message, type="invalid_request_error", param=None, code=None):
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


# Anthropic


def message(request):
    content = [{"type": "text", "text": TEXT}]
    usage = {"input_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 5}
    return {**_message(request, usage), "content": content, "stop_reason": "end_turn"}


def message_events(request):
    usage = {"input_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 1}
    block = {"type": "content_block_delta", "index": 0}
    events = [
        {"type": "message_start", "message": _message(request, usage)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({**block, "delta": {"type": "text_delta", "text": word}} for word in WORDS),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]
    return [named(event) for event in events]


def _message(request, usage):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def anthropic_error(type, message):
    return {"type": "error", "error": {"type": type, "message": message}, "request_id": "req_1"}


def data(event):
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n"


def named(event):
    return f"event: {event['type']}\n{data(event)}"
