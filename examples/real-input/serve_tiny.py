#!/usr/bin/env python3
"""Serves a tiny random model with llama.cpp's OpenAI-compatible server.

    pip install xllamacpp gguf tokenizers numpy
    python3 serve_tiny.py DIR PORT

The model is made here, once, in DIR/tiny.gguf: two layers, random weights. What it says is noise, so requests carry a
grammar (extra-body.json) that admits only well-formed actions. It is a real server with real token counts.
"""

import pathlib
import sys
import time

import gguf
import numpy
import tokenizers

VOCABULARY, WIDTH, LAYERS, HEADS, FEED, CONTEXT = 600, 64, 2, 4, 128, 32768
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}<|assistant|>"
)


def make(path):
    text = [pathlib.Path(__file__).read_text()] * 8
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<s>", "</s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(text, trainer)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    tokens = [token for token, _ in vocabulary]
    import json
    merges = [" ".join(m) if isinstance(m, list) else m for m in json.loads(tokenizer.to_str())["model"]["merges"]]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    kinds = [gguf.TokenType.CONTROL if t in ("<s>", "</s>") else gguf.TokenType.NORMAL for t in tokens]
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    random = numpy.random.default_rng(0)

    def weights(name, *shape):
        writer.add_tensor(name, (random.standard_normal(shape) * 0.05).astype(numpy.float32))

    def ones(name, size):
        writer.add_tensor(name, numpy.ones(size, dtype=numpy.float32))

    weights("token_embd.weight", len(tokens), WIDTH)
    for i in range(LAYERS):
        ones(f"blk.{i}.attn_norm.weight", WIDTH)
        for part in ("q", "k", "v", "output"):
            weights(f"blk.{i}.attn_{part}.weight", WIDTH, WIDTH)
        ones(f"blk.{i}.ffn_norm.weight", WIDTH)
        weights(f"blk.{i}.ffn_gate.weight", FEED, WIDTH)
        weights(f"blk.{i}.ffn_up.weight", FEED, WIDTH)
        weights(f"blk.{i}.ffn_down.weight", WIDTH, FEED)
    ones("output_norm.weight", WIDTH)
    weights("output.weight", len(tokens), WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    directory, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    model = directory / "tiny.gguf"
    if not model.exists():
        make(model)
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    # The context is divided among the parallel slots.
    parameters.n_parallel = 8
    parameters.n_ctx = 8 * CONTEXT
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.warmup = False
    parameters.use_jinja = True
    server = xllamacpp.Server(parameters)
    print(f"ready at http://127.0.0.1:{port}/v1", flush=True)
    while server:
        time.sleep(3600)


if __name__ == "__main__":
    main()
