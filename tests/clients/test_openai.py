"""The `openai` SDK against the gateway."""

import asyncio
import time
from unittest.mock import patch

import openai

import wire
from gateway import GatewayTest, in_flight
from upstream import KEY, PATIENCE, Answer, Events, Silence

MESSAGES = [{"role": "user", "content": "Hello"}]
CHAT = {"model": "chat", "messages": MESSAGES}
CLIENT_KEY = "key-of-the-client"


class OpenAiTest(GatewayTest):
    def setUp(self):
        self.one = self.upstream()

    def client(self, url, kind=openai.OpenAI, max_retries=0, api_key=CLIENT_KEY):
        """A client of the gateway at `url`."""
        client = kind(base_url=f"{url}/v1", api_key=api_key, max_retries=max_retries)
        if kind is openai.OpenAI:
            self.addCleanup(client.close)
        else:
            self.addAsyncCleanup(client.close)
        return client

    def alone(self, **client):
        """A client of a gateway with one deployment, `one`."""
        return self.client(self.gateway({"chat": [self.one.deployment("a")]}), **client)


class Answers(OpenAiTest):
    def test_a_chat_has_its_text_finish_reason_and_usage(self):
        answer = self.alone().chat.completions.create(**CHAT)
        [choice] = answer.choices
        self.assertEqual((choice.message.role, choice.message.content), ("assistant", wire.TEXT))
        self.assertEqual(choice.finish_reason, "stop")
        self.assertEqual(answer.usage.model_dump(exclude_none=True), wire.USAGE)

    def test_a_deployment_gets_its_own_model_and_key(self):
        self.alone().chat.completions.create(**CHAT, temperature=0.5, seed=7)
        [request] = self.one.received
        self.assertEqual(request.path, "/v1/chat/completions")
        self.assertEqual(request.json, {**CHAT, "model": "real", "temperature": 0.5, "seed": 7})
        self.assertEqual(request.headers["authorization"], f"Bearer {KEY}")
        self.assertNotIn(CLIENT_KEY, str(request.headers))

    def test_a_stream_has_the_chunks_of_the_deployment(self):
        chunks = list(self.alone().chat.completions.create(**CHAT, stream=True))
        self.assertEqual([chunk.choices[0].delta.content for chunk in chunks], ["", *wire.WORDS, None])
        self.assertEqual([chunk.choices[0].finish_reason for chunk in chunks][-2:], [None, "stop"])
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertEqual([chunk.usage for chunk in chunks], [None] * 6)

    def test_a_stream_ends_with_its_usage_where_that_was_asked_for(self):
        options = {"include_usage": True}
        chunks = list(self.alone().chat.completions.create(**CHAT, stream=True, stream_options=options))
        self.assertEqual([chunk.usage for chunk in chunks[:-1]], [None] * 6)
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual(chunks[-1].usage.model_dump(exclude_none=True), wire.USAGE)

    def test_the_streaming_helper_gathers_a_whole_chat(self):
        with self.alone().chat.completions.stream(**CHAT) as stream:
            deltas = [event.delta for event in stream if event.type == "content.delta"]
            whole = stream.get_final_completion()
        self.assertEqual(deltas, ["", *wire.WORDS])
        self.assertEqual(whole.choices[0].message.content, wire.TEXT)

    def test_tool_calls_arrive_whole_and_streamed(self):
        tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
        client = self.alone()
        [choice] = client.chat.completions.create(**CHAT, tools=tools).choices
        self.assertEqual(choice.finish_reason, "tool_calls")
        [call] = choice.message.tool_calls
        self.assertEqual((call.function.name, call.function.arguments), ("weather", '{"city": "Paris"}'))
        chunks = client.chat.completions.create(**CHAT, tools=tools, stream=True)
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
        self.assertEqual("".join(call.function.arguments for call in calls), '{"city": "Paris"}')
        self.assertEqual(self.one.received[0].json["tools"], tools)

    def test_a_completion_has_its_text(self):
        answer = self.alone().completions.create(model="chat", prompt="Hello")
        self.assertEqual((answer.choices[0].text, answer.choices[0].finish_reason), (wire.TEXT, "length"))
        self.assertEqual(answer.usage.total_tokens, 14)

    def test_embeddings_are_numbers_however_they_travelled(self):
        client = self.alone()
        for format in [{}, {"encoding_format": "float"}]:
            answer = client.embeddings.create(model="chat", input=["one", "two"], **format)
            self.assertEqual([one.embedding for one in answer.data], [wire.VECTOR] * 2)
            self.assertEqual(answer.usage.prompt_tokens, 3)
        self.assertEqual([one.json.get("encoding_format") for one in self.one.received], ["base64", "float"])

    def test_a_response_has_its_text_and_usage_whole_and_streamed(self):
        client = self.alone()
        answer = client.responses.create(model="chat", input="Hello")
        self.assertEqual((answer.output_text, answer.status), (wire.TEXT, "completed"))
        usage = answer.usage
        self.assertEqual((usage.input_tokens, usage.output_tokens, usage.total_tokens), (9, 5, 14))
        events = list(client.responses.create(model="chat", input="Hello", stream=True))
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        self.assertEqual(deltas, wire.WORDS)
        self.assertEqual((events[-1].type, events[-1].response.output_text), ("response.completed", wire.TEXT))

    def test_the_models_are_the_groups(self):
        groups = {"chat": [self.one.deployment("a"), self.one.deployment("b")], "org/big": [self.one.deployment("c")]}
        client = self.client(self.gateway(groups))
        self.assertEqual([model.id for model in client.models.list()], ["chat", "org/big"])
        self.assertEqual(client.models.retrieve("org/big").id, "org/big")
        with self.assertRaises(openai.NotFoundError) as caught:
            client.models.retrieve("other")
        self.assertEqual(caught.exception.code, "model_not_found")

    def test_the_headers_say_who_answered_and_what_that_deployment_said(self):
        headers = {"x-request-id": "req_1", "x-ratelimit-remaining-tokens": "7"}
        self.one.script = [Answer(wire.chat(CHAT), headers=headers)]
        raw = self.alone().chat.completions.with_raw_response.create(**CHAT)
        told = {name: raw.headers.get(name) for name in ("x-fleet-deployment", "x-fleet-attempts", "x-fleet-fallbacks")}
        self.assertEqual(told, {"x-fleet-deployment": "a", "x-fleet-attempts": "1", "x-fleet-fallbacks": "0"})
        self.assertEqual(raw.headers["x-ratelimit-remaining-tokens"], "7")
        answer = raw.parse()
        self.assertEqual((answer.choices[0].message.content, answer._request_id), (wire.TEXT, "req_1"))


class Routes(OpenAiTest):
    """What a user of the SDK does not notice."""

    def test_a_deployment_that_fails_is_replaced_by_another(self):
        bad = self.upstream()
        bad.script = [Answer(wire.openai_error("broken", "server_error"), 500)] * 9
        group = [bad.deployment("bad", order=1), self.one.deployment("a", order=2)]
        client = self.client(self.gateway({"chat": group}, num_retries=2))
        raw = client.chat.completions.with_raw_response.create(**CHAT)
        self.assertEqual(raw.parse().choices[0].message.content, wire.TEXT)
        self.assertEqual((raw.headers["x-fleet-deployment"], raw.headers["x-fleet-attempts"]), ("a", "2"))

    def test_a_group_that_fails_is_replaced_by_its_fallback_in_a_stream_too(self):
        bad = self.upstream()
        bad.script = [Answer(wire.openai_error("broken", "server_error"), 500)] * 9
        groups = {"chat": [bad.deployment("bad")], "spare": [self.one.deployment("a")]}
        client = self.client(self.gateway(groups, fallbacks=[{"chat": ["spare"]}]))
        with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as raw:
            self.assertEqual((raw.headers["x-fleet-deployment"], raw.headers["x-fleet-fallbacks"]), ("a", "1"))
            words = [chunk.choices[0].delta.content for chunk in raw.parse()]
        self.assertEqual(words, ["", *wire.WORDS, None])

    def test_a_request_may_name_its_own_fallbacks_and_retries(self):
        bad = self.upstream()
        bad.script = [Answer(wire.openai_error("broken", "server_error"), 500)] * 9
        groups = {"chat": [bad.deployment(id) for id in "bcde"], "spare": [self.one.deployment("a")]}
        client = self.client(self.gateway(groups, num_retries=3))
        raw = client.chat.completions.with_raw_response.create(
            **CHAT, extra_body={"fallbacks": ["spare"]}, extra_headers={"x-litellm-num-retries": "1"}
        )
        told = [raw.headers[name] for name in ("x-fleet-deployment", "x-fleet-attempts", "x-fleet-fallbacks")]
        self.assertEqual(told, ["a", "3", "1"])
        for request in [*bad.received, *self.one.received]:
            self.assertEqual(request.json, {**CHAT, "model": "real"})

    def test_an_input_too_long_for_one_group_goes_to_another(self):
        error = wire.openai_error("too long", param="messages", code="context_length_exceeded")
        small = self.upstream()
        small.script = [Answer(error, 400)]
        groups = {"chat": [small.deployment("small")], "large": [self.one.deployment("large")]}
        client = self.client(self.gateway(groups, context_window_fallbacks=[{"chat": ["large"]}]))
        raw = client.chat.completions.with_raw_response.create(**CHAT)
        self.assertEqual((raw.headers["x-fleet-deployment"], raw.headers["x-fleet-fallbacks"]), ("large", "1"))

    def test_a_stream_that_fails_before_its_first_words_is_begun_elsewhere(self):
        bad = self.upstream()
        failure = wire.openai_error("overloaded", "server_error")
        bad.script = [Events([wire.data(failure)])]
        group = [bad.deployment("bad", order=1), self.one.deployment("a", order=2)]
        client = self.client(self.gateway({"chat": group}, num_retries=1))
        words = [chunk.choices[0].delta.content for chunk in client.chat.completions.create(**CHAT, stream=True)]
        self.assertEqual(words, ["", *wire.WORDS, None])
        self.assertEqual((len(bad.received), len(self.one.received)), (1, 1))


class Errors(OpenAiTest):
    def fails(self, error, client, **request):
        with self.assertRaises(error) as caught:
            client.chat.completions.create(**{**CHAT, **request})
        return caught.exception

    def test_an_unknown_model_is_not_found(self):
        error = self.fails(openai.NotFoundError, self.alone(), model="other")
        self.assertEqual((error.code, error.param, error.type), ("model_not_found", "model", "invalid_request_error"))
        self.assertIn('"other"', error.message)
        self.assertEqual(self.one.received, [])

    def test_a_request_without_a_model_is_bad(self):
        error = self.fails(openai.BadRequestError, self.alone(), model=openai.omit)
        self.assertEqual((error.code, error.param), ("missing_required_parameter", "model"))

    def test_what_a_deployment_finds_wrong_reaches_the_client_word_for_word(self):
        said = wire.openai_error("temperature is too high", param="temperature", code="decimal_above_max_value")
        statuses = {
            400: openai.BadRequestError,
            401: openai.AuthenticationError,
            403: openai.PermissionDeniedError,
            404: openai.NotFoundError,
            409: openai.ConflictError,
            422: openai.UnprocessableEntityError,
            429: openai.RateLimitError,
            500: openai.InternalServerError,
            503: openai.InternalServerError,
        }
        for status, kind in statuses.items():
            with self.subTest(status):
                # A gateway each, as a deployment that fails is set aside.
                self.one.script = [Answer(said, status)]
                error = self.fails(kind, self.alone())
                self.assertEqual((error.status_code, error.body), (status, said["error"]))
                self.assertEqual((error.code, error.param), ("decimal_above_max_value", "temperature"))

    def test_a_group_that_is_at_its_limit_says_when_to_come_back(self):
        limited = Answer(wire.openai_error("slow down", "requests"), 429, {"retry-after": "90"})
        self.one.script = [limited] * 2
        group = [self.one.deployment("a"), self.one.deployment("b")]
        client = self.client(self.gateway({"chat": group}, num_retries=1))
        self.assertEqual(self.fails(openai.RateLimitError, client).body["message"], "slow down")
        error = self.fails(openai.RateLimitError, client)
        self.assertEqual((error.code, error.type), ("rate_limit_exceeded", "rate_limit_error"))
        self.assertGreater(int(error.response.headers["retry-after"]), 60)
        self.assertLessEqual(int(error.response.headers["retry-after"]), 90)
        self.assertEqual(len(self.one.received), 2)

    def test_a_gateway_with_a_key_wants_that_key_and_keeps_it(self):
        url = self.gateway({"chat": [self.one.deployment("a")]}, {"master_key": CLIENT_KEY})
        error = self.fails(openai.AuthenticationError, self.client(url, api_key="another"))
        self.assertEqual(error.code, "invalid_api_key")
        self.assertEqual(self.one.received, [])
        client = self.client(url)
        self.assertEqual(client.chat.completions.create(**CHAT).choices[0].message.content, wire.TEXT)
        self.assertEqual([model.id for model in client.models.list()], ["chat"])
        self.assertNotIn(CLIENT_KEY, str(self.one.received[0].headers))

    def test_a_deployment_that_is_gone_is_a_server_error_that_names_no_address(self):
        gone = self.upstream()
        client = self.client(self.gateway({"chat": [gone.deployment("a")]}))
        gone.stop()
        error = self.fails(openai.InternalServerError, client)
        self.assertEqual((error.status_code, error.code), (502, "connection_failed"))
        self.assertNotIn("127.0.0.1", str(error.body))

    def test_a_deployment_that_is_too_slow_is_a_server_error_of_its_own(self):
        self.one.script = [Silence()]
        client = self.client(self.gateway({"chat": [self.one.deployment("a", timeout=0.05)]}))
        error = self.fails(openai.InternalServerError, client)
        self.assertEqual((error.status_code, error.code), (504, "timeout"))
        self.assertTrue(self.one.left.wait(PATIENCE))

    def test_a_stream_that_breaks_off_is_an_error_and_not_an_end(self):
        self.one.script = [Events(wire.chat_events(CHAT)[:3], "breaks")]
        stream = self.alone().chat.completions.create(**CHAT, stream=True)
        words = []
        with self.assertRaises(openai.APIConnectionError):
            words.extend(chunk.choices[0].delta.content for chunk in stream)
        self.assertEqual(words, ["", *wire.WORDS[:2]])


class Retries(OpenAiTest):
    """The SDK's own, on top of the gateway's."""

    def setUp(self):
        super().setUp()
        self.slept = []
        sleep = patch("openai._base_client.time.sleep", self.slept.append)
        sleep.start()
        self.addCleanup(sleep.stop)

    def test_off_an_error_is_told_at_once(self):
        self.one.script = [Answer(wire.openai_error("broken"), 500)]
        with self.assertRaises(openai.InternalServerError):
            self.alone().chat.completions.create(**CHAT)
        self.assertEqual((len(self.one.received), self.slept), (1, []))

    def test_on_an_error_is_tried_again_and_every_try_is_counted(self):
        self.one.script = [Answer(wire.openai_error("broken"), 500)] * 2
        answer = self.alone(max_retries=2).chat.completions.create(**CHAT)
        self.assertEqual(answer.choices[0].message.content, wire.TEXT)
        counts = [request.headers["x-stainless-retry-count"] for request in self.one.received]
        self.assertEqual(counts, ["0", "1", "2"])

    def test_on_it_waits_as_long_as_a_deployment_asks(self):
        self.one.script = [Answer(wire.openai_error("slow down"), 429, {"retry-after": "7"})]
        self.alone(max_retries=1).chat.completions.create(**CHAT)
        self.assertEqual(self.slept, [7])

    def test_on_it_waits_as_long_as_the_gateway_asks(self):
        self.one.script = [Answer(wire.openai_error("slow down"), 429, {"retry-after": "90"})] * 2
        group = [self.one.deployment("a"), self.one.deployment("b")]
        url = self.gateway({"chat": group}, num_retries=1)
        for max_retries in (0, 1):
            with self.assertRaises(openai.RateLimitError):
                self.client(url, max_retries=max_retries).chat.completions.create(**CHAT)
        [wait] = self.slept
        self.assertTrue(60 < wait < 90, wait)

    def test_on_what_the_client_did_wrong_is_not_tried_again(self):
        self.one.script = [Answer(wire.openai_error("no"), 400)]
        with self.assertRaises(openai.BadRequestError):
            self.alone(max_retries=2).chat.completions.create(**CHAT)
        self.assertEqual((len(self.one.received), self.slept), (1, []))


class Cancelled(OpenAiTest):
    """A client that leaves is a deployment that is let go."""

    def setUp(self):
        super().setUp()
        self.one.script = [Events(wire.chat_events(CHAT)[:3], "waits")]
        self.url = self.gateway({"chat": [self.one.deployment("a")]})

    def assert_let_go(self):
        self.assertTrue(self.one.left.wait(PATIENCE))
        deadline = time.monotonic() + PATIENCE
        while in_flight(self.url) and time.monotonic() < deadline:
            pass
        self.assertEqual(in_flight(self.url), 0)

    def test_a_stream_that_is_closed(self):
        with self.client(self.url).chat.completions.create(**CHAT, stream=True) as stream:
            next(stream)
            self.assertEqual(in_flight(self.url), 1)
        self.assert_let_go()

    async def test_an_async_stream_whose_task_is_cancelled(self):
        begun = asyncio.Event()

        async def read():
            stream = await self.client(self.url, openai.AsyncOpenAI).chat.completions.create(**CHAT, stream=True)
            async with stream:
                async for _ in stream:
                    begun.set()

        reading = asyncio.create_task(read())
        await asyncio.wait_for(begun.wait(), PATIENCE)
        reading.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await reading
        await asyncio.to_thread(self.assert_let_go)


class Async(OpenAiTest):
    async def test_many_chats_run_side_by_side(self):
        client = self.alone(kind=openai.AsyncOpenAI)
        answers = await asyncio.gather(*(client.chat.completions.create(**CHAT) for _ in range(16)))
        self.assertEqual([answer.choices[0].message.content for answer in answers], [wire.TEXT] * 16)

    async def test_a_stream_has_the_chunks_of_the_deployment(self):
        stream = await self.alone(kind=openai.AsyncOpenAI).chat.completions.create(**CHAT, stream=True)
        words = [chunk.choices[0].delta.content async for chunk in stream]
        self.assertEqual(words, ["", *wire.WORDS, None])

    async def test_embeddings_are_numbers(self):
        answer = await self.alone(kind=openai.AsyncOpenAI).embeddings.create(model="chat", input="one")
        self.assertEqual(answer.data[0].embedding, wire.VECTOR)

    async def test_an_unknown_model_is_not_found(self):
        client = self.alone(kind=openai.AsyncOpenAI)
        with self.assertRaises(openai.NotFoundError) as caught:
            await client.chat.completions.create(**{**CHAT, "model": "other"})
        self.assertEqual(caught.exception.code, "model_not_found")
