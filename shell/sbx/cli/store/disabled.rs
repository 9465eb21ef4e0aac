//! Stands in for the object stores where they were left out of the build: none can be opened.

use std::path::Path;

/// A run in an object store; nothing makes one in this build.
#[derive(Clone)]
#[allow(dead_code, reason = "the twin of what a build with stores has")]
pub struct Store {
    url: String,
}

fn none<T>(url: &str) -> anyhow::Result<T> {
    anyhow::bail!("{url}: this sbx was built without the feature object-store")
}

impl Store {
    pub fn open(url: &str) -> anyhow::Result<Store> {
        none(url)
    }

    pub fn part(self, _: &str) -> Store {
        self
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn fetch(&self, _: &Path) -> anyhow::Result<()> {
        none(&self.url)
    }

    pub async fn fetch_shards(&self, _: &Path) -> anyhow::Result<usize> {
        none(&self.url)
    }

    pub async fn push_journal(&self, _: &Path) -> anyhow::Result<()> {
        none(&self.url)
    }

    pub async fn push_files(&self, _: &Path) -> anyhow::Result<()> {
        none(&self.url)
    }

    pub async fn replace_journal(&self, _: &Path) -> anyhow::Result<()> {
        none(&self.url)
    }
}
