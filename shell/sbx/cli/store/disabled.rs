//! Stands in for the object stores where they were left out of the build.

use std::path::Path;

/// A run in an object store; this build has none.
pub enum Store {}

impl Store {
    pub fn open(url: &str) -> anyhow::Result<Store> {
        anyhow::bail!("{url}: this sbx was built without the feature object-store")
    }

    pub fn part(self, _: &str) -> Store {
        self
    }

    pub fn url(&self) -> &str {
        match *self {}
    }

    pub async fn fetch(&self, _: &Path) -> anyhow::Result<()> {
        match *self {}
    }

    pub async fn fetch_shards(&self, _: &Path) -> anyhow::Result<usize> {
        match *self {}
    }

    pub async fn push_journal(&self, _: &Path) -> anyhow::Result<()> {
        match *self {}
    }

    pub async fn push_files(&self, _: &Path) -> anyhow::Result<()> {
        match *self {}
    }

    pub async fn replace_journal(&self, _: &Path) -> anyhow::Result<()> {
        match *self {}
    }
}
