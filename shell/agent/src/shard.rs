//! The part of a run that one of many workers does: the same rollouts every time, whatever the others do.

use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// One part of `of` equal ones, numbered from 0. Default: all of it, `0/1`.
///
/// A rollout belongs to the part that the hash of its instance and number says: parts are disjoint, together they are
/// the whole, and adding instances moves none.
///
/// ```
/// use sbx_agent::Shard;
/// let parts: Vec<Shard> = ["0/2", "1/2"].iter().map(|s| s.parse()).collect::<Result<_, _>>()?;
/// assert_eq!(parts.iter().filter(|p| p.has("flask-1", 7)).count(), 1);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

/// Most parts of a run.
const MOST: u32 = 99_999;

/// Where engines say which worker this is: the variable of the index, that of the first index, and that of the count.
const ENGINES: [Engine; 7] = [
    Engine::new("Slurm", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT").from("SLURM_ARRAY_TASK_MIN"),
    Engine::new("Iris", "IRIS_TASK_ID", "IRIS_NUM_TASKS"),
    Engine::new("SkyPilot", "SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES"),
    Engine::new("Google Batch", "BATCH_TASK_INDEX", "BATCH_TASK_COUNT"),
    Engine::new("Kubernetes", "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"),
    Engine::new("AWS Batch", "AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
    Engine::new("sbx", "SBX_SHARD_INDEX", "SBX_SHARD_COUNT"),
];

struct Engine {
    name: &'static str,
    index: &'static str,
    count: &'static str,
    first: Option<&'static str>,
}

impl Engine {
    const fn new(name: &'static str, index: &'static str, count: &'static str) -> Engine {
        Engine { name, index, count, first: None }
    }

    const fn from(mut self, first: &'static str) -> Engine {
        self.first = Some(first);
        self
    }
}

impl Default for Shard {
    fn default() -> Shard {
        Shard { index: 0, of: 1 }
    }
}

impl Shard {
    /// Makes part `index` of `of`; none when there is no such part.
    pub fn new(index: u32, of: u32) -> Option<Shard> {
        (index < of && of <= MOST).then_some(Shard { index, of })
    }

    /// Reads which part this worker does from the variables of the engine that started it: Slurm job arrays, Kubernetes
    /// indexed jobs (with the count in `JOB_COMPLETIONS`), Iris, SkyPilot, Google Batch, AWS Batch (with the count in
    /// `AWS_BATCH_JOB_ARRAY_SIZE`), or `SBX_SHARD_INDEX` and `SBX_SHARD_COUNT`.
    ///
    /// # Errors
    /// No engine says, two do, or what they say is no part.
    pub fn from_engine(variable: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
        let mut found: Vec<(&Engine, String)> =
            ENGINES.iter().filter_map(|e| Some((e, variable(e.index)?))).collect();
        // Whoever sets ours means it.
        if let Some(ours) = found.iter().position(|(e, _)| e.name == "sbx") {
            found.swap(0, ours);
            found.truncate(1);
        }
        let (engine, index) = match found.as_slice() {
            [one] => one,
            [] => {
                let names: Vec<_> = ENGINES.iter().map(|e| e.index).collect();
                return Err(format!(
                    "no engine tells which shard this is; expected one of {}",
                    names.join(", ")
                ));
            }
            [a, b, ..] => {
                return Err(format!(
                    "both {} and {} are set; name the shard with --shard i/n",
                    a.0.index, b.0.index
                ));
            }
        };
        let count = variable(engine.count).ok_or_else(|| {
            format!("{} is set, {} is not; expected the number of shards", engine.index, engine.count)
        })?;
        // Iris writes /user/job/<index>:<attempt>.
        let last = index.rsplit('/').next().unwrap_or(index);
        let index = number(engine.index, last.split(':').next().unwrap_or(last))?;
        let first = engine
            .first
            .and_then(&variable)
            .map_or(Ok(0), |text| number(engine.first.unwrap_or(""), &text))?;
        let count = number(engine.count, &count)?;
        index
            .checked_sub(first)
            .and_then(|index| Shard::new(index, count))
            .ok_or_else(|| format!("{}={index} and {}={count} are no shard", engine.index, engine.count))
    }

    /// Whether a rollout belongs to this part.
    ///
    /// The first eight bytes, little-endian, of SHA-256 over instance and number in decimal with NUL between them, modulo
    /// the number of parts.
    pub fn has(&self, instance: &str, rollout: u32) -> bool {
        let hash = Sha256::digest(format!("{instance}\0{rollout}"));
        let first = hash.iter().take(8).rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        first % u64::from(self.of) == u64::from(self.index)
    }

    /// The folder of this part within the run's: `shard-00000-of-00004`; none for all of it.
    pub fn folder(&self) -> Option<String> {
        (self.of > 1).then(|| format!("shard-{:05}-of-{:05}", self.index, self.of))
    }
}

fn number(what: &str, text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{what}={text:?}: expected a number"))
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    /// Reads `i/n`, or `auto` for [`Shard::from_engine`] on this process's environment.
    fn from_str(text: &str) -> Result<Shard, String> {
        if text == "auto" {
            return Shard::from_engine(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        }
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        parts.and_then(|(i, n)| Shard::new(i, n)).ok_or_else(|| {
            format!("expected auto, or i/n with i from 0 to n-1 and n at most {MOST}, such as 3/16; found {text:?}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(variables: &[(&str, &str)]) -> Result<String, String> {
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string());
        Shard::from_engine(find).map(|s| s.to_string())
    }

    #[test]
    fn shards_are_disjoint_and_together_the_whole() {
        let shards: Vec<Shard> = (0..7).map(|i| Shard::new(i, 7).unwrap()).collect();
        let mut sizes = [0; 7];
        for n in 0..2_000 {
            let instance = format!("org__name-{}", n / 10);
            let owners: Vec<_> = (0..7).filter(|i| shards[*i].has(&instance, n % 10)).collect();
            assert_eq!(owners.len(), 1, "{instance} {n}");
            sizes[owners[0]] += 1;
        }
        assert!(sizes.iter().all(|s| (200..380).contains(s)), "{sizes:?}");
        assert!(Shard::default().has("any", 0));
    }

    #[test]
    fn every_engine_tells_its_part() {
        let slurm =
            [("SLURM_ARRAY_TASK_ID", "8"), ("SLURM_ARRAY_TASK_MIN", "5"), ("SLURM_ARRAY_TASK_COUNT", "4")];
        assert_eq!(engine(&slurm).unwrap(), "3/4");
        assert_eq!(
            engine(&slurm[..1]).unwrap_err(),
            "SLURM_ARRAY_TASK_ID is set, SLURM_ARRAY_TASK_COUNT is not; expected the number of shards"
        );
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&[("IRIS_TASK_ID", "/user/job/2:1"), ("IRIS_NUM_TASKS", "3")], "2/3"),
            (&[("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "2")], "0/2"),
            (&[("SKYPILOT_NODE_RANK", "1"), ("SKYPILOT_NUM_NODES", "2")], "1/2"),
            (&[("BATCH_TASK_INDEX", "1"), ("BATCH_TASK_COUNT", "2")], "1/2"),
            (&[("AWS_BATCH_JOB_ARRAY_INDEX", "1"), ("AWS_BATCH_JOB_ARRAY_SIZE", "2")], "1/2"),
            (&[("SBX_SHARD_INDEX", "1"), ("SBX_SHARD_COUNT", "9"), ("SLURM_ARRAY_TASK_ID", "8")], "1/9"),
        ];
        for (variables, expected) in cases {
            assert_eq!(engine(variables).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_shard_is_an_error() {
        for text in ["", "1", "2/2", "-1/2", "0/0", "0/100000", "a/b", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text:?}");
        }
        assert!(engine(&[]).unwrap_err().contains("no engine"));
        assert!(engine(&[("IRIS_TASK_ID", "/u/j/x:0"), ("IRIS_NUM_TASKS", "3")]).is_err());
        assert!(engine(&[("SKYPILOT_NODE_RANK", "2"), ("SKYPILOT_NUM_NODES", "2")]).is_err());
        let two = [("SKYPILOT_NODE_RANK", "0"), ("BATCH_TASK_INDEX", "0")];
        assert!(engine(&two).unwrap_err().contains("both"));
    }
}
