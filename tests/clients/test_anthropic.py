"""The `anthropic` SDK against the gateway's `/v1/messages`."""

import asyncio
from unittest.mock import patch

import anthropic

import wire
from gateway import GatewayTest
from upstream import KEY, PATIENCE, Answer, Events

MESSAGES = [{"role": "user", "content": "Hello"}]
ASK = {"model": "claude", "max_tokens": 64, "messages": MESSAGES}
CLIENT_KEY = "key-of-the-client"

MODEL = "anthropic/real"


class AnthropicTest(GatewayTest):
    def setUp(self):
        self.one = self.upstream()

    def client(self, url, kind=anthropic.Anthropic, max_retries=0, api_key=CLIENT_KEY):
        """A client of the gateway at `url`."""
        client = kind(base_url=url, api_key=api_key, max_retries=max_retries)
        if kind is anthropic.Anthropic:
            self.addCleanup(client.close)
        else:
            self.addAsyncCleanup(client.close)
        return client

    def alone(self, **client):
        """A client of a gateway with one deployment, `one`."""
        return self.client(self.gateway({"claude": [self.one.deployment("a", MODEL)]}), **client)

    def check(self, message):
        [block] = message.content
        self.assertEqual((block.type, block.text), ("text", wire.TEXT))
        self.assertEqual((message.role, message.stop_reason), ("assistant", "end_turn"))
        usage = message.usage
        self.assertEqual((usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens), (5, 4, 5))


class Answers(AnthropicTest):
    def test_a_message_has_its_text_stop_reason_and_usage(self):
        self.check(self.alone().messages.create(**ASK))

    def test_a_deployment_gets_its_own_model_and_key(self):
        versions = {"anthropic-version": "2023-06-01", "anthropic-beta": "context-1m-2025-08-07"}
        self.alone().messages.create(**ASK, system="Be brief.", stop_sequences=["."], extra_headers=versions)
        [request] = self.one.received
        self.assertEqual(request.path, "/v1/messages")
        self.assertEqual(request.json, {**ASK, "model": "real", "system": "Be brief.", "stop_sequences": ["."]})
        self.assertEqual({name: request.headers[name] for name in versions}, versions)
        self.assertEqual(request.headers["x-api-key"], KEY)
        self.assertNotIn(CLIENT_KEY, str(request.headers))

    def test_a_stream_has_the_events_of_the_deployment(self):
        events = list(self.alone().messages.create(**ASK, stream=True))
        kinds = [
            "message_start",
            "content_block_start",
            *["content_block_delta"] * 4,
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
        self.assertEqual([event.type for event in events], kinds)
        self.assertEqual([event.delta.text for event in events[2:6]], wire.WORDS)
        self.assertEqual((events[0].message.usage.input_tokens, events[-2].usage.output_tokens), (5, 5))

    def test_the_streaming_helper_gathers_a_whole_message(self):
        with self.alone().messages.stream(**ASK) as stream:
            self.assertEqual(list(stream.text_stream), wire.WORDS)
            self.check(stream.get_final_message())

    def test_the_headers_say_who_answered_and_what_that_deployment_said(self):
        headers = {"request-id": "req_1", "anthropic-ratelimit-tokens-remaining": "7"}
        self.one.script = [Answer(wire.message(ASK), headers=headers)]
        raw = self.alone().messages.with_raw_response.create(**ASK)
        self.assertEqual((raw.headers["x-fleet-deployment"], raw.headers["x-fleet-attempts"]), ("a", "1"))
        self.assertEqual(raw.headers["anthropic-ratelimit-tokens-remaining"], "7")
        self.assertEqual(raw.parse()._request_id, "req_1")

    def test_a_deployment_that_is_overloaded_is_replaced_by_another_in_a_stream_too(self):
        bad = self.upstream()
        bad.script = [Answer(wire.anthropic_error("overloaded_error", "Overloaded"), 529)] * 9
        group = [bad.deployment("bad", MODEL, order=1), self.one.deployment("a", MODEL, order=2)]
        client = self.client(self.gateway({"claude": group}, num_retries=1))
        with client.messages.stream(**ASK) as stream:
            self.check(stream.get_final_message())
            self.assertEqual(stream.response.headers["x-fleet-attempts"], "2")


class Errors(AnthropicTest):
    def fails(self, error, client, **request):
        with self.assertRaises(error) as caught:
            client.messages.create(**{**ASK, **request})
        return caught.exception

    def test_an_unknown_model_is_not_found(self):
        error = self.fails(anthropic.NotFoundError, self.alone(), model="other")
        self.assertEqual((error.body["type"], error.type), ("error", "not_found_error"))
        self.assertIn('"other"', error.api_message)
        self.assertEqual(self.one.received, [])

    def test_a_request_without_a_model_is_bad(self):
        error = self.fails(anthropic.BadRequestError, self.alone(), model=anthropic.omit)
        self.assertEqual(error.type, "invalid_request_error")

    def test_what_a_deployment_finds_wrong_reaches_the_client_word_for_word(self):
        kinds = {
            400: ("invalid_request_error", anthropic.BadRequestError),
            401: ("authentication_error", anthropic.AuthenticationError),
            403: ("permission_error", anthropic.PermissionDeniedError),
            404: ("not_found_error", anthropic.NotFoundError),
            413: ("request_too_large", anthropic.ContentTooLargeError),
            429: ("rate_limit_error", anthropic.RateLimitError),
            500: ("api_error", anthropic.InternalServerError),
            529: ("overloaded_error", anthropic.OverloadedError),
        }
        for status, (type, kind) in kinds.items():
            with self.subTest(status):
                said = wire.anthropic_error(type, "why")
                # A gateway each, as a deployment that fails is set aside.
                self.one.script = [Answer(said, status)]
                error = self.fails(kind, self.alone())
                self.assertEqual((error.status_code, error.type, error.body), (status, type, said))

    def test_a_gateway_with_a_key_wants_that_key_and_keeps_it(self):
        url = self.gateway({"claude": [self.one.deployment("a", MODEL)]}, {"master_key": CLIENT_KEY})
        error = self.fails(anthropic.AuthenticationError, self.client(url, api_key="another"))
        self.assertEqual(error.type, "authentication_error")
        self.assertEqual(self.one.received, [])
        self.check(self.client(url).messages.create(**ASK))
        self.assertNotIn(CLIENT_KEY, str(self.one.received[0].headers))

    def test_an_endpoint_that_no_deployment_has_is_a_bad_request(self):
        groups = {"claude": [self.one.deployment("a", "azure/real", base="", api_version="2024-10-21")]}
        error = self.fails(anthropic.BadRequestError, self.client(self.gateway(groups)))
        self.assertEqual(error.type, "invalid_request_error")
        self.assertEqual(self.one.received, [])

    def test_a_group_that_is_at_its_limit_says_when_to_come_back(self):
        limited = Answer(wire.anthropic_error("rate_limit_error", "slow down"), 429, {"retry-after": "90"})
        self.one.script = [limited] * 2
        group = [self.one.deployment("a", MODEL), self.one.deployment("b", MODEL)]
        url = self.gateway({"claude": group}, num_retries=1)
        self.assertEqual(self.fails(anthropic.RateLimitError, self.client(url)).api_message, "slow down")
        slept = []
        with patch("anthropic._base_client.time.sleep", slept.append):
            error = self.fails(anthropic.RateLimitError, self.client(url, max_retries=1))
        self.assertEqual(error.type, "rate_limit_error")
        self.assertNotEqual(error.api_message, "slow down")
        [wait] = slept
        self.assertTrue(60 < wait <= 90, wait)
        self.assertEqual(len(self.one.received), 2)

    def test_a_stream_that_says_it_failed_is_an_error(self):
        failure = wire.anthropic_error("overloaded_error", "Overloaded")
        events = [*wire.message_events(ASK)[:4], wire.named(failure)]
        self.one.script = [Events(events)]
        words = []
        with self.assertRaises(anthropic.APIStatusError) as caught:
            with self.alone().messages.stream(**ASK) as stream:
                words.extend(stream.text_stream)
        self.assertEqual(words, wire.WORDS[:1])
        self.assertEqual(caught.exception.body, failure)


class Async(AnthropicTest):
    async def test_many_messages_run_side_by_side(self):
        client = self.alone(kind=anthropic.AsyncAnthropic)
        for message in await asyncio.gather(*(client.messages.create(**ASK) for _ in range(16))):
            self.check(message)

    async def test_the_streaming_helper_gathers_a_whole_message(self):
        async with self.alone(kind=anthropic.AsyncAnthropic).messages.stream(**ASK) as stream:
            self.assertEqual([text async for text in stream.text_stream], wire.WORDS)
            self.check(await stream.get_final_message())

    async def test_a_stream_that_is_closed_lets_the_deployment_go(self):
        self.one.script = [Events(wire.message_events(ASK)[:4], "waits")]
        async with self.alone(kind=anthropic.AsyncAnthropic).messages.stream(**ASK) as stream:
            self.assertEqual(await anext(aiter(stream.text_stream)), wire.WORDS[0])
        self.assertTrue(await asyncio.to_thread(self.one.left.wait, PATIENCE))

    async def test_an_unknown_model_is_not_found(self):
        client = self.alone(kind=anthropic.AsyncAnthropic)
        with self.assertRaises(anthropic.NotFoundError) as caught:
            await client.messages.create(**{**ASK, "model": "other"})
        self.assertEqual(caught.exception.type, "not_found_error")
