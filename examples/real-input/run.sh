#!/usr/bin/env bash
# Real packages, a real OpenAI-compatible server, 3 instances × 10 rollouts, and the data set read by its readers.
#
#   examples/real-input/run.sh DIR        everything goes to DIR; takes some minutes on two cores
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(realpath -m "${1:?usage: run.sh DIR}")
port=${PORT:-18181}
sbx=${SBX:-sbx}
mkdir -p "$dir"

python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q xllamacpp gguf tokenizers numpy datasets pyarrow
"$dir/venv/bin/python" "$here/make_repos.py" "$dir"
"$dir/venv/bin/python" "$here/grammar.py" > "$dir/extra-body.json"

"$dir/venv/bin/python" "$here/serve_tiny.py" "$dir" "$port" > "$dir/server.log" 2>&1 &
server=$!
trap 'kill $server' EXIT
for _ in $(seq 60); do
    grep -q '^ready' "$dir/server.log" && break
    kill -0 $server || { tail "$dir/server.log"; exit 1; }
    sleep 1
done

"$sbx" agent --tasks "$dir/tasks.jsonl" --repos "$dir/repos" --base-url "http://127.0.0.1:$port/v1" --model tiny \
    --rollouts 10 --concurrency 8 --seed 1 --max-turns "${TURNS:-12}" --extra-body "@$dir/extra-body.json" --out "$dir/run"
"$dir/venv/bin/python" "$here/read_dataset.py" "$dir/run"
