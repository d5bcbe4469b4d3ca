//! A host on a database of its own, and plugins that do as they are told.

pub(crate) mod plugin;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use rat_api::{
    ApiKey, AuthenticationError, Authenticator, Holder, Plugins as _, SlotState, Verified,
};
use rat_config::{Settings, Slot};
use rat_plugin_host::{Host, Needs, Options, Resolve};
use rat_scheduler::{Executor, ExecutorError, Executors, LogStream, Progress};
use rat_store::{PluginRecord, Store};
use rat_types::{Identity, RunId, RunRequest, RunState, Secret};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// No test waits longer than this for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The times of production by a tenth or less, so that a test of time takes little of it.
pub(crate) fn fast() -> Options {
    Options {
        dial: Duration::from_millis(500),
        call: Duration::from_secs(1),
        idle: Duration::from_millis(300),
        resolve: Duration::from_millis(50),
        health_interval: Duration::from_millis(200),
        probe_interval: Duration::from_millis(50),
        health_timeout: Duration::from_millis(500),
        ..Options::default()
    }
}

/// Names that the test knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<Mutex<BTreeMap<String, Vec<SocketAddr>>>>);

impl Names {
    pub(crate) fn set(&self, name: &str, addresses: &[SocketAddr]) {
        let mut names = self.0.lock().unwrap();
        names.insert(name.to_owned(), addresses.to_vec());
    }

    pub(crate) fn remove(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }
}

impl Resolve for Names {
    fn resolve(&self, host: String, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let found = self.0.lock().unwrap().get(&host).cloned();
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

/// The executor without plugins.
#[derive(Debug)]
pub(crate) struct WarmPool;

#[async_trait]
impl Executor for WarmPool {
    fn name(&self) -> &str {
        "warm-pool"
    }

    async fn submit(&self, _: &RunRequest) -> Result<RunState, ExecutorError> {
        Ok(RunState::Queued)
    }

    async fn status(&self, _: RunId) -> Result<Progress, ExecutorError> {
        Ok(Progress::Active(RunState::Queued))
    }

    async fn logs(&self, _: RunId, _: u64) -> Result<LogStream, ExecutorError> {
        Ok(Box::pin(futures::stream::empty()))
    }

    async fn cancel(&self, _: RunId) -> Result<(), ExecutorError> {
        Ok(())
    }
}

/// A host that runs.
pub(crate) struct Rig {
    pub(crate) host: Host,
    pub(crate) store: Store,
    pub(crate) executors: Executors,
    pub(crate) names: Names,
    pub(crate) auth: Arc<dyn Authenticator>,
    yaml: Arc<Mutex<String>>,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(fast()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        Self::with_key(options, None).await
    }

    /// With an API key for the built-in authentication.
    pub(crate) async fn with_key(options: Options, key: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = rat_sql::DatabaseUrl::sqlite(folder.path().join("rat.db"));
        let store = Store::open(&url).await.unwrap();
        let builtin: Arc<dyn Executor> = Arc::new(WarmPool);
        let executors = Executors::new(Arc::clone(&builtin));
        let names = Names::default();
        let yaml = Arc::new(Mutex::new(String::new()));
        let text = Arc::clone(&yaml);
        let key = key.map(Secret::new);
        let host = Host::new(
            options,
            Needs {
                store: store.clone(),
                authenticator: Arc::new(ApiKey::new(key.as_ref())),
                executors: executors.clone(),
                executor: builtin,
                resolver: Arc::new(names.clone()),
                source: Arc::new(move || plugins_of(&text.lock().unwrap())),
            },
        );
        let stop = CancellationToken::new();
        let running = tokio::spawn(host.clone().run(stop.clone()));
        Self {
            auth: host.authenticator(),
            host,
            store,
            executors,
            names,
            yaml,
            folder,
            stop,
            running: Some(running),
        }
    }

    /// A place for a socket.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Loads what a `plugins:` section says.
    pub(crate) async fn load(&self, plugins: &str) {
        self.write(plugins);
        let plugins = plugins_of(plugins).unwrap();
        self.host.load(&plugins).await.unwrap();
    }

    /// What the next reload reads.
    pub(crate) fn write(&self, plugins: &str) {
        plugins.clone_into(&mut self.yaml.lock().unwrap());
    }

    pub(crate) fn slot(&self, slot: Slot) -> SlotState {
        let mut slots = self.host.slots().into_iter();
        slots.find(|state| state.slot == slot).unwrap()
    }

    /// Waits until `holder` stands in `slot`.
    pub(crate) async fn until(&self, slot: Slot, holder: Holder) {
        let what = format!("{} in {slot}", holder.as_str());
        wait_for(&what, || {
            let state = self.slot(slot);
            match state.holder == holder {
                true => Ok(()),
                false => Err(format!("{state:?}")),
            }
        })
        .await;
    }

    /// Waits until a check has found the plugin of `slot` as something that `message` is part of.
    pub(crate) async fn until_message(&self, slot: Slot, message: &str) {
        wait_for(message, || {
            let state = self.slot(slot);
            match state.message.contains(message) {
                true => Ok(()),
                false => Err(format!("{state:?}")),
            }
        })
        .await;
    }

    pub(crate) async fn row(&self, name: &str) -> Option<PluginRecord> {
        self.store.plugins().get(name).await.unwrap()
    }

    /// Waits until the row of a plugin is as `holds` wants it.
    pub(crate) async fn until_row(&self, name: &str, holds: impl Fn(&PluginRecord) -> bool) {
        let begun = Instant::now();
        loop {
            let row = self.row(name).await;
            if row.as_ref().is_some_and(&holds) {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "the row stays {row:?}");
            sleep(LOOK_AGAIN).await;
        }
    }

    pub(crate) async fn authenticate(&self, token: &str) -> Result<Verified, AuthenticationError> {
        self.auth.authenticate(Some(&Secret::new(token))).await
    }

    /// Ends the host; nothing of it may be left.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        let running = self.running.take().unwrap();
        tokio::time::timeout(LIMIT, running).await.unwrap().unwrap();
    }
}

fn plugins_of(text: &str) -> Result<BTreeMap<Slot, rat_config::Plugin>, String> {
    let settings = Settings::load(Some(("rat.yaml", text)), &BTreeMap::new());
    settings
        .map(|settings| settings.plugins)
        .map_err(|problems| problems.to_string())
}

/// A `plugins:` section with one plugin on a socket.
pub(crate) fn one(slot: Slot, socket: &Path, more: &str) -> String {
    let socket = socket.display();
    format!("plugins:\n{}", line(slot, &format!("unix:{socket}"), more))
}

/// One plugin of a `plugins:` section.
pub(crate) fn line(slot: Slot, address: &str, more: &str) -> String {
    format!("  {slot}: {{image: 'x/{slot}-one:1', address: '{address}'{more}}}\n")
}

pub(crate) fn user(name: &str) -> Identity {
    Identity {
        user_id: name.to_owned(),
        email: String::new(),
        display_name: String::new(),
        roles: vec!["analyst".to_owned()],
    }
}

/// Waits until `holds` does; what it says otherwise is shown when it never does.
pub(crate) async fn wait_for(what: &str, mut holds: impl FnMut() -> Result<(), String>) {
    let begun = Instant::now();
    loop {
        let Err(state) = holds() else { return };
        assert!(begun.elapsed() < LIMIT, "never came true: {what}: {state}");
        sleep(LOOK_AGAIN).await;
    }
}
