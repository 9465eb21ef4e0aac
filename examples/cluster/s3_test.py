"""Two shards of a run in S3: each is killed and goes on on another machine, and the parts are joined in the bucket.

    pip install "moto[server]" pyarrow         # a local S3 server; pyarrow only to read the result
    python s3_test.py SBX [DIR]                # the sbx binary, and a folder for what is made

The server is moto's, the model a script; all of it is on this machine and needs no network.
"""
import json, os, pathlib, random, shutil, signal, subprocess, sys, tempfile, time, urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benches"))
import soak

ROLLOUTS = 30


def main():
    sbx = os.path.abspath(sys.argv[1])
    dir = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="s3-test-"))
    shutil.rmtree(dir, ignore_errors=True)
    soak.repository(dir / "repos/org/name")
    task = {"instance_id": "org__name-1", "repo": "org/name", "base_commit": "HEAD", "problem_statement": "Read it."}
    (dir / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    port = random.randrange(20000, 30000)
    moto = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                            stdout=subprocess.DEVNULL, stderr=open(dir / "moto.log", "w"))
    model = subprocess.Popen([sys.executable, soak.__file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{model.stdout.readline().strip()}/v1"
        env = dict(os.environ, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}", AWS_ALLOW_HTTP="true", AWS_REGION="us-east-1",
                   AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
        for _ in range(120):
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
                urllib.request.urlopen(request, timeout=5)
                break
            except OSError:
                assert moto.poll() is None, (dir / "moto.log").read_text()
                time.sleep(0.5)

        def agent(shard, machine):
            home = dict(env, SBX_CACHE=str(dir / machine))
            return subprocess.Popen([sbx, "agent", "--tasks", dir / "tasks.jsonl", "--repos", dir / "repos", "--base-url", url,
                                     "--model", "instant", "--seed", "1", "--rollouts", str(ROLLOUTS), "--concurrency", "2",
                                     "--max-total-tokens", "1000000", "--shard", f"{shard}/2", "--out", "s3://bucket/runs/one",
                                     "--json"], env=home, stdout=subprocess.PIPE, text=True)

        kills = 0
        for shard in (0, 1):
            for attempt in range(40):
                # Each attempt is on a machine that has nothing of the ones before.
                driver = agent(shard, f"machine-{shard}-{attempt}")
                try:
                    driver.wait(timeout=random.uniform(0.4, 1.5) if attempt < 4 else 600)
                except subprocess.TimeoutExpired:
                    driver.send_signal(signal.SIGKILL)
                    driver.wait()
                    kills += 1
                    continue
                ended = json.loads(driver.stdout.read().splitlines()[-1])
                print(f"shard {shard}: attempt {attempt}, {ended['done_before']} done before, {ended['missing']} missing")
                assert driver.returncode == 0 and ended["missing"] == 0
                break
        joined = subprocess.run([sbx, "dataset", "finalize", "s3://bucket/runs/one", "--json"], check=True,
                                env=dict(env, SBX_CACHE=str(dir / "joiner"), XDG_CACHE_HOME=str(dir / "joiner")),
                                capture_output=True, text=True)
        stats = json.loads(joined.stdout)["stats"]
        assert stats["rollouts"] == stats["submitted"] == ROLLOUTS, stats
        import boto3
        s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                          aws_access_key_id="test", aws_secret_access_key="test")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="bucket")
        names = [found["Key"] for page in pages for found in page.get("Contents", [])]
        assert "runs/one/README.md" in names and "runs/one/data/train-00000-of-00001.parquet" in names, names
        print(f"{kills} kills; {ROLLOUTS} rollouts, each once; {len(names)} objects")
        parquet = dir / "train.parquet"
        s3.download_file("bucket", "runs/one/data/train-00000-of-00001.parquet", parquet)
        try:
            import pyarrow.parquet
            rows = pyarrow.parquet.read_table(parquet).num_rows
            assert rows == ROLLOUTS
            print(f"{rows} rows in the bucket's parquet file")
        except ImportError:
            print("pyarrow is not here: the parquet file was not read")
    finally:
        moto.kill()
        model.kill()


if __name__ == "__main__":
    main()
