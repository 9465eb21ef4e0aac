//! What is written is what the parquet library reads, whatever the models and agents said.

use arrow::array::{Array, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sbx_dataset::write;
use sbx_records::{ExitStatus, Journal, Message, Rollout};
use std::fs::{self, File};
use std::path::Path;

fn rollout(instance: &str, n: u32) -> Rollout {
    Rollout {
        schema: Rollout::SCHEMA.into(),
        instance_id: instance.into(),
        repo: "org/name".into(),
        rollout: n,
        exit_status: ExitStatus::Submitted,
        exit_status_detail: "Submitted".into(),
        ..Rollout::default()
    }
}

fn journal(dir: &Path, rollouts: impl IntoIterator<Item = Rollout>) {
    let mut journal = Journal::open(dir, drop).unwrap();
    rollouts.into_iter().for_each(|r| journal.append(&r).unwrap());
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

/// Roles and texts of a row's messages.
fn messages(list: &ListArray, row: usize) -> Vec<(String, String)> {
    let items = list.value(row);
    let items = items.as_struct();
    let column = |name: &str| items.column_by_name(name).unwrap().as_string::<i32>().clone();
    let (roles, texts) = (column("role"), column("content"));
    (0..items.len()).map(|i| (roles.value(i).into(), texts.value(i).into())).collect()
}

#[test]
fn the_card_has_its_ten_columns_and_their_types() {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path(), [rollout("a", 0)]);
    write(dir.path()).unwrap();
    let batch = read(&dir.path().join("data/train-00000-of-00001.parquet")).remove(0);
    let columns: Vec<String> =
        batch.schema().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
    assert_eq!(
        columns,
        [
            "instance_id Utf8",
            "messages List(Struct(\"role\": Utf8, \"content\": Utf8))",
            "repo Utf8",
            "exit_status Utf8",
            "exit_status_detail Utf8",
            "n_turns Int64",
            "n_messages Int64",
            "prompt_tokens Int64",
            "completion_tokens Int64",
            "duration_sec Float64",
        ]
    );
    let file = File::open(dir.path().join("data/train-00000-of-00001.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let features = &reader.schema().metadata()["huggingface"];
    assert!(features.starts_with(r#"{"info":{"features":{"instance_id":{"dtype":"string","_type":"Value"}"#));
}

#[test]
fn hostile_texts_come_back_as_they_were() {
    let big = "é".repeat(1 << 20);
    let texts =
        ["", "\0", "a\0b", "😀\u{202e}\u{feff}", "<script>alert(1)</script>", "```bash\nls\n```", &big];
    let conversations: Vec<Vec<Message>> = (0..2_500usize)
        .map(|n| match n % 1250 {
            1249 => vec![Message::new("user", &big)],
            n => (0..n % 7).map(|m| Message::new("user", texts[(n + m) % (texts.len() - 1)])).collect(),
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let rows = (0..conversations.len()).map(|n| Rollout {
        messages: conversations[n].clone(),
        n_turns: n as u64,
        duration_sec: n as f64 / 8.0,
        ..rollout("a", n as u32)
    });
    journal(dir.path(), rows);
    write(dir.path()).unwrap();
    for file in ["data/train-00000-of-00001.parquet", "full/train-00000-of-00001.parquet"] {
        let mut n = 0;
        for batch in read(&dir.path().join(file)) {
            let column = |name: &str| batch.column_by_name(name).unwrap();
            for row in 0..batch.num_rows() {
                let expected: Vec<_> =
                    conversations[n].iter().map(|m| (m.role.clone(), m.content.clone())).collect();
                assert!(messages(column("messages").as_list(), row) == expected, "{file}: row {n}");
                assert_eq!(column("n_turns").as_primitive::<Int64Type>().value(row), n as i64);
                assert_eq!(
                    column("n_messages").as_primitive::<Int64Type>().value(row),
                    expected.len() as i64
                );
                assert_eq!(column("duration_sec").as_primitive::<Float64Type>().value(row), n as f64 / 8.0);
                n += 1;
            }
        }
        assert_eq!(n, conversations.len(), "{file}");
    }
}

#[test]
fn the_order_of_ending_does_not_matter() {
    let rollouts = || [("b", 1), ("a", 10), ("a", 2), ("b", 0)].map(|(i, n)| rollout(i, n));
    let written = |rollouts: Vec<Rollout>| {
        let dir = tempfile::tempdir().unwrap();
        journal(dir.path(), rollouts);
        write(dir.path()).unwrap();
        let files = ["data/train-00000-of-00001.parquet", "full/train-00000-of-00001.parquet", "README.md"];
        files.map(|f| fs::read(dir.path().join(f)).unwrap())
    };
    let mut reversed: Vec<_> = rollouts().into();
    reversed.reverse();
    assert!(written(rollouts().into()) == written(reversed));
}

#[test]
fn the_page_holds_no_markup_of_the_agents() {
    let dir = tempfile::tempdir().unwrap();
    let evil = "</pre></details><script>alert(1)</script><img src=x onerror=alert(1)>";
    let message = Message { role: "\"><script>".into(), ..Message::new("", evil) };
    journal(
        dir.path(),
        [Rollout {
            messages: vec![message],
            patch: evil.into(),
            exit_status_detail: evil.into(),
            // A name with a slash is in no journal.
            ..rollout("<script>alert(1)<img src=x onerror=alert(1)>", 0)
        }],
    );
    write(dir.path()).unwrap();
    let page = fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    assert_eq!(page.matches("<details>").count(), page.matches("</details>").count());
    assert!(page.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn the_page_shows_what_was_thought_and_called() {
    let call = |name: &str, arguments: &str| serde_json::json!({"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}});
    let calls = serde_json::json!([
        call("bash", "{\"command\": \"grep -n one\\nfile\"}"),
        call("str_replace_editor", "{\"command\": \"view\", \"path\": \"<f>\", \"view_range\": [1, 2]}"),
    ]);
    let message =
        Message { reasoning: Some("hm".into()), tool_calls: Some(calls), ..Message::new("assistant", "") };
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path(), [Rollout { messages: vec![message], ..rollout("a", 0) }]);
    write(dir.path()).unwrap();
    let page = fs::read_to_string(dir.path().join("report.html")).unwrap();
    for shown in [
        "hm</pre>",
        ">grep -n one\nfile</pre>",
        ">str_replace_editor\ncommand: view\npath: &lt;f&gt;\nview_range: [1,2]</pre>",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}

#[test]
fn a_failed_write_leaves_the_old_data_set() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    journal(dir.path(), [rollout("a", 0)]);
    write(dir.path()).unwrap();
    let old = fs::read(path("data/train-00000-of-00001.parquet")).unwrap();
    let card = fs::read(path("README.md")).unwrap();
    // No folder, no file of the second configuration: as on a full disk, after the first one is written.
    fs::remove_dir_all(path("full")).unwrap();
    fs::write(path("full"), "").unwrap();
    journal(dir.path(), [rollout("b", 0)]);
    let error = write(dir.path()).unwrap_err().to_string();
    assert!(error.contains("full/"), "{error}");
    assert_eq!(fs::read(path("data/train-00000-of-00001.parquet")).unwrap(), old);
    assert_eq!(fs::read(path("README.md")).unwrap(), card);
    assert_eq!(fs::read_dir(path("data")).unwrap().count(), 1);
    fs::remove_file(path("full")).unwrap();
    assert_eq!(write(dir.path()).unwrap().stats.rollouts, 2);
}

#[test]
fn a_run_without_rollouts_is_an_error_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(write(dir.path()), Err(sbx_dataset::Error::Records(_))));
    journal(dir.path(), []);
    assert!(matches!(write(dir.path()), Err(sbx_dataset::Error::Empty(_))));
    assert!(!dir.path().join("data").exists());
}
