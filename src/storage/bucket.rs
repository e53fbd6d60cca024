//! A bucket: a local folder, or one of S3.

use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{
    ClientConfigKey, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig, StaticCredentialProvider,
};

use super::{Entry, Error, Objects, Path, folder, is_telling};

/// Objects in a folder or in S3.
#[derive(Clone, Debug)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// The same for objects that have to survive a power cut as soon as they are there.
    lasting: Arc<dyn ObjectStore>,
    /// Where a local folder is.
    root: Option<PathBuf>,
}

/// Where a bucket of S3 is. What is not said is taken from `AWS_*` variables and the machine's role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with.
    pub prefix: String,
    /// The address of a server that is not Amazon's.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The access key and its secret.
    pub key: Option<(String, String)>,
}

// === impl Bucket ===

impl Bucket {
    /// A local folder, which is made where there is none.
    pub fn folder(folder: &FilePath) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let store = LocalFileSystem::new_with_prefix(folder)?.with_automatic_cleanup(true);
        let lasting = store.clone().with_fsync(true);
        let root = Some(folder.canonicalize()?);
        Ok(Self { store: Arc::new(store), lasting: Arc::new(lasting), root })
    }

    /// A bucket of S3. It need not be reachable yet.
    pub fn s3(config: &S3) -> Result<Self, Error> {
        let builder = config.applied_to(AmazonS3Builder::from_env());
        let store = builder.build().map_err(|error| Error::Failed(error.to_string().into()))?;
        let prefix = Path::from(config.prefix.as_str());
        let store: Arc<dyn ObjectStore> = match prefix.as_ref().is_empty() {
            true => Arc::new(store),
            false => Arc::new(PrefixStore::new(store, prefix)),
        };
        Ok(Self { lasting: Arc::clone(&store), store, root: None })
    }
}

// === impl S3 ===

impl S3 {
    /// A builder with what is said here, which holds whatever the builder had from the environment.
    fn applied_to(&self, builder: AmazonS3Builder) -> AmazonS3Builder {
        let client = |key| AmazonS3ConfigKey::Client(key);
        let seconds = |time: Duration| format!("{} seconds", time.as_secs());
        // Whoever writes tries again by itself.
        let retry =
            RetryConfig { max_retries: 1, retry_timeout: S3_TIMEOUT, ..RetryConfig::default() };
        let mut builder = builder
            .with_bucket_name(&self.bucket)
            .with_config(client(ClientConfigKey::Timeout), seconds(S3_TIMEOUT))
            .with_config(client(ClientConfigKey::ConnectTimeout), seconds(S3_TIMEOUT / 4))
            .with_retry(retry);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
            if endpoint.starts_with("http:") {
                builder = builder.with_allow_http(true);
            }
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some((id, secret)) = &self.key {
            // Without the session token of another key.
            let (key_id, secret_key) = (id.clone(), secret.clone());
            let key = AwsCredential { key_id, secret_key, token: None };
            builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(key)));
        }
        builder
    }
}

impl Objects for Bucket {
    fn put(&self, path: &Path, bytes: Bytes) -> BoxFuture<'_, Result<(), Error>> {
        let path = path.clone();
        Box::pin(async move {
            let store = if is_telling(&path) { &self.lasting } else { &self.store };
            let put = store.put(&path, bytes.into()).await;
            put.map(drop).map_err(|error| Error::of(&path, error))
        })
    }

    fn get(&self, path: &Path) -> BoxFuture<'_, Result<Bytes, Error>> {
        let path = path.clone();
        Box::pin(async move {
            let read = async { self.store.get(&path).await?.bytes().await };
            read.await.map_err(|error| Error::of(&path, error))
        })
    }

    fn list(&self, folder: &Path) -> BoxFuture<'_, Result<Vec<Entry>, Error>> {
        let (folder, root) = (folder.clone(), self.root.clone());
        Box::pin(async move {
            if let Some(root) = root {
                return read_folder(move || folder::list(&root, &folder)).await;
            }
            let listed = self.store.list(Some(&folder)).map_ok(Entry::from);
            listed.try_collect().await.map_err(|error| Error::of(&folder, error))
        })
    }

    fn folders(&self, folder: &Path) -> BoxFuture<'_, Result<Vec<Path>, Error>> {
        let (folder, root) = (folder.clone(), self.root.clone());
        Box::pin(async move {
            if let Some(root) = root {
                return read_folder(move || folder::folders(&root, &folder)).await;
            }
            let listed = self.store.list_with_delimiter(Some(&folder)).await;
            listed.map(|listed| listed.common_prefixes).map_err(|error| Error::of(&folder, error))
        })
    }

    fn delete(&self, path: &Path) -> BoxFuture<'_, Result<(), Error>> {
        let path = path.clone();
        Box::pin(async move {
            match self.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(Error::of(&path, error)),
            }
        })
    }
}

/// Reads from the disk on a thread that may wait.
async fn read_folder<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let read = tokio::task::spawn_blocking(read).await.map_err(io::Error::other);
    read.flatten().map_err(|error| Error::Failed(error.to_string().into()))
}

impl From<ObjectMeta> for Entry {
    fn from(meta: ObjectMeta) -> Self {
        Self { path: meta.location, bytes: meta.size, modified: meta.last_modified.into() }
    }
}

/// A request that takes longer is tried again.
const S3_TIMEOUT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW_HTTP: AmazonS3ConfigKey = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);

    #[test]
    fn the_environment_holds_where_nothing_else_is_said() {
        let environment = || {
            AmazonS3Builder::new()
                .with_config(ALLOW_HTTP, "true")
                .with_config(AmazonS3ConfigKey::S3Endpoint, "http://theirs")
                .with_config(AmazonS3ConfigKey::Region, "theirs")
        };
        let read = |config: &S3, key| config.applied_to(environment()).get_config_value(&key);
        let nothing = S3 { bucket: "b".into(), ..S3::default() };
        assert_eq!(read(&nothing, ALLOW_HTTP).as_deref(), Some("true"));
        assert_eq!(read(&nothing, AmazonS3ConfigKey::S3Endpoint).as_deref(), Some("http://theirs"));
        assert_eq!(read(&nothing, AmazonS3ConfigKey::Region).as_deref(), Some("theirs"));
        let endpoint = Some("https://ours".into());
        let said = S3 { endpoint, region: Some("ours".into()), ..nothing };
        assert_eq!(read(&said, AmazonS3ConfigKey::S3Endpoint).as_deref(), Some("https://ours"));
        assert_eq!(read(&said, AmazonS3ConfigKey::Region).as_deref(), Some("ours"));
        assert!(said.applied_to(environment()).build().is_ok(), "all of it can be read");
    }
}
