"""Start h2_server.mjs, if there is a Node to run it."""

import json
import os
import shutil
import subprocess
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def node():
    own = os.path.join(HERE, "../../build/venv/bin/node")
    return own if os.path.exists(own) else shutil.which("node")


needs_node = unittest.skipUnless(node(), "Node.js is not installed")


class NodeServer:
    """The program, on a free port, until close(). With the folder of make_certificates it speaks TLS."""

    def __init__(self, certificates=None, **settings):
        options = {"settings": settings}
        if certificates:
            options.update(cert=f"{certificates}/cert.pem", key=f"{certificates}/key.pem")
        self.process = subprocess.Popen([node(), f"{HERE}/h2_server.mjs", json.dumps(options)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.origin = f"{'https' if certificates else 'http'}://localhost:{self.port}"

    def counts(self):
        out = subprocess.run(["curl", "-sk", "--http2" if self.origin.startswith("https") else "--http2-prior-knowledge",
                              self.origin + "/counts"], capture_output=True, timeout=20).stdout
        return json.loads(out)

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=20)
        self.process.stdout.close()
        return code
