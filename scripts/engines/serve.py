"""Runs llama.cpp's server on a model until it is ended.

    python serve.py model.gguf --port 8080 --slots 4 --context 8192 --threads 1
"""

import argparse
import signal
import sys

import xllamacpp


def parameters(args):
    wanted = xllamacpp.CommonParams()
    wanted.model.path = args.model
    wanted.hostnames = [args.host]
    wanted.port = args.port
    wanted.n_parallel = args.slots
    wanted.n_ctx = args.context
    wanted.n_batch = args.batch
    wanted.cpuparams.n_threads = args.threads
    wanted.cpuparams_batch.n_threads = args.threads
    # Prompts that have left their slot: none are kept unless asked for, so that a cache is as large as its context.
    wanted.cache_ram_mib = args.cache_mib
    wanted.endpoint_metrics = True
    wanted.warmup = True
    return wanted


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, default=4, help="requests at a time")
    parser.add_argument("--context", type=int, default=8192, help="tokens of all slots together")
    parser.add_argument("--batch", type=int, default=2048, help="tokens of a step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache-mib", type=int, default=0, help="memory for prompts that have left their slot")
    args = parser.parse_args()
    server = xllamacpp.Server(parameters(args))
    print("listening on", server.listening_address, flush=True)
    # The server's threads are its own: this one waits for the end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
