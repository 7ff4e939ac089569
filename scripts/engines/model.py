"""Writes a language model with random weights for llama.cpp, in some seconds and without a network.

    python model.py tiny.gguf --layers 4 --width 256 --heads 8 --kv-heads 4

It talks nonsense, at the speed of a real model of its shape. Its vocabulary has 259 special and byte tokens, which it never
says, and 2,048 words, whose ids are 259 to 2306: every token that it says is text, as clients expect it.
"""

import argparse

import gguf
import numpy

BYTES = 259  # <unk>, <s>, </s> and the 256 bytes
WORDS = 2048


def vocabulary():
    """Texts, scores and kinds of all tokens."""
    texts = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    texts += [f"\u2581w{word:04d}" for word in range(WORDS)]
    # Letters that the words are merged from, so that any text has tokens.
    texts += list("\u2581w0123456789")
    texts += [f"<unused{at}>" for at in range(-len(texts) % 32)]
    scores = [0.0] * 3 + [-1000.0] * 256 + [-float(at) for at in range(len(texts) - BYTES)]
    kinds = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.BYTE] * 256
    kinds += [gguf.TokenType.NORMAL] * (len(texts) - BYTES)
    return [text.encode() for text in texts], scores, kinds


def describe(writer, args, tokens):
    texts, scores, kinds = tokens
    writer.add_name(f"random-{args.layers}x{args.width}")
    writer.add_block_count(args.layers)
    writer.add_context_length(args.context)
    writer.add_embedding_length(args.width)
    writer.add_feed_forward_length(args.hidden or args.width * 8 // 3 // 32 * 32)
    writer.add_head_count(args.heads)
    writer.add_head_count_kv(args.kv_heads)
    writer.add_rope_dimension_count(args.width // args.heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(texts))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_chat_template("{% for message in messages %}{{ message['content'] }}\n{% endfor %}")


def weigh(writer, args, tokens):
    random = numpy.random.default_rng(args.seed)
    hidden = args.hidden or args.width * 8 // 3 // 32 * 32
    keys = args.width // args.heads * args.kv_heads

    def matrix(rows, columns):
        return (random.standard_normal((rows, columns), dtype=numpy.float32) * 0.02).astype(numpy.float16)

    output = matrix(tokens, args.width) * numpy.float16(50)
    output[:BYTES] = 0
    output[BYTES + WORDS :] = 0
    writer.add_tensor("token_embd.weight", matrix(tokens, args.width))
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", numpy.ones(args.width, numpy.float32))
    shapes = {"attn_q": (args.width, args.width), "attn_k": (keys, args.width), "attn_v": (keys, args.width)}
    shapes |= {"attn_output": (args.width, args.width), "ffn_gate": (hidden, args.width)}
    shapes |= {"ffn_up": (hidden, args.width), "ffn_down": (args.width, hidden)}
    for layer in range(args.layers):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{norm}.weight", numpy.ones(args.width, numpy.float32))
        for name, shape in shapes.items():
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix(*shape))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--hidden", type=int, help="of the feed-forward part; 8/3 of the width by default")
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--kv-heads", type=int, default=4)
    parser.add_argument("--context", type=int, default=32768)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    writer = gguf.GGUFWriter(args.path, "llama")
    tokens = vocabulary()
    describe(writer, args, tokens)
    weigh(writer, args, len(tokens[0]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
