"""The gateway as a process, over deployments that a test makes."""

import json
import logging
import os
import subprocess
import tempfile
import unittest
import urllib.request

from upstream import Upstream

# Asynchronous tests run in debug mode, which tells of every step that takes long.
logging.getLogger("asyncio").setLevel(logging.ERROR)

ADDRESS = "tower-fleet-gateway listens on "


class GatewayTest(unittest.IsolatedAsyncioTestCase):
    """A test with a gateway of its own."""

    maxDiff = None

    def upstream(self):
        """A server for deployments to stand for."""
        upstream = Upstream()
        self.addCleanup(upstream.stop)
        return upstream

    def gateway(self, groups, general_settings=None, **router_settings):
        """Starts the gateway over `groups`, which are lists of deployments by name, and returns its URL.

        It retries nothing, unless told to.
        """
        model_list = [
            {"model_name": name, **deployment} for name, group in groups.items() for deployment in group
        ]
        router_settings = {"num_retries": 0, **router_settings}
        config = {"model_list": model_list, "router_settings": router_settings}
        if general_settings:
            config["general_settings"] = general_settings
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        file = os.path.join(directory.name, "config.yaml")
        with open(file, "w") as text:
            # JSON is YAML.
            json.dump(config, text)
        log = open(os.path.join(directory.name, "log"), "w+")
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [os.environ["GATEWAY"], "--port", "0", "--config", file],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        first = process.stdout.readline()
        if not first.startswith(ADDRESS):
            process.wait()
            log.seek(0)
            self.fail(f"no gateway: {log.read()}")
        return first.removeprefix(ADDRESS).strip()


def in_flight(url):
    """How many requests the deployments have, as the gateway tells."""
    with urllib.request.urlopen(f"{url}/fleet") as answer:
        return sum(one["in_flight"] for one in json.load(answer)["deployments"])
