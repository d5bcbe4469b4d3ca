//! A plugin with the services that it offers, ready to be served.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use prost_reflect::DescriptorPool;
use rat_proto::auth::v1::auth_service_server::AuthServiceServer;
use rat_proto::cloud::v1::cloud_service_server::CloudServiceServer;
use rat_proto::enforcement::v1::enforcement_service_server::EnforcementServiceServer;
use rat_proto::executor::v1::executor_service_server::ExecutorServiceServer;
use rat_proto::plugin::v1::plugin_service_server::PluginServiceServer;
use rat_proto::sharing::v1::sharing_service_server::SharingServiceServer;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tonic_health::pb::health_server::HealthServer;
use tower::Service;

use crate::call::{CallLimits, Guard, Tracker};
use crate::connect::Translation;
use crate::control::Control;
use crate::front::Front;
use crate::health::Standard;
use crate::live::Live;
use crate::{Auth, Cloud, Enforcement, Executor, Plugin, Sharing};

/// Largest request, unless a slot needs more.
const MESSAGE_LIMIT: usize = 4 << 20;
/// A run's sources and a long list of landing files, as much as a rat-runner takes.
const EXECUTOR_MESSAGE_LIMIT: usize = 64 << 20;
/// Calls at a time.
const CALLS: usize = 512;
/// ratd waits ten seconds.
const HANDLER: Duration = Duration::from_secs(60);
/// How long streams go on after SIGTERM.
const STREAMS: Duration = Duration::from_secs(5);

type Register<P> = Box<dyn FnOnce(&mut RoutesBuilder, &Live<P>) + Send>;

/// A plugin and the slots that it fills.
pub struct Server<P> {
    slots: Vec<&'static str>,
    services: Vec<&'static str>,
    register: Vec<Register<P>>,
    descriptors: Vec<&'static [u8]>,
    limits: CallLimits,
}

impl<P: Plugin> Default for Server<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// A message that no plugin on the contracts' own descriptors can see.
const DESCRIPTORS: &str = "the descriptor sets do not fit together";

macro_rules! slots {
    ($($(#[$doc:meta])+ $method:ident: $slot:ident, $server:ident, $limit:expr;)+) => {$(
        $(#[$doc])+
        #[must_use]
        pub fn $method(mut self) -> Self
        where
            P: $slot,
        {
            self.slots.push(stringify!($method));
            let name = $server::<Live<P>>::NAME;
            self.services.push(name);
            if $limit > MESSAGE_LIMIT {
                self.limits.larger.push((name, $limit));
            }
            self.register.push(Box::new(|routes, live| {
                let service = $server::new(live.clone()).max_decoding_message_size($limit);
                routes.add_service(service);
            }));
            self
        }
    )+};
}

impl<P: Plugin> Server<P> {
    /// A plugin that fills no slot yet.
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            services: Vec::new(),
            register: Vec::new(),
            descriptors: vec![
                rat_proto::FILE_DESCRIPTOR_SET,
                tonic_health::pb::FILE_DESCRIPTOR_SET,
            ],
            limits: CallLimits {
                calls: CALLS,
                handler: HANDLER,
                streams: STREAMS,
                message: MESSAGE_LIMIT,
                larger: Vec::new(),
            },
        }
    }

    slots! {
        /// Fills the auth slot.
        auth: Auth, AuthServiceServer, MESSAGE_LIMIT;
        /// Fills the executor slot. Its requests may have 64 MiB.
        executor: Executor, ExecutorServiceServer, EXECUTOR_MESSAGE_LIMIT;
        /// Fills the sharing slot.
        sharing: Sharing, SharingServiceServer, MESSAGE_LIMIT;
        /// Fills the enforcement slot.
        enforcement: Enforcement, EnforcementServiceServer, MESSAGE_LIMIT;
        /// Fills the cloud slot.
        cloud: Cloud, CloudServiceServer, MESSAGE_LIMIT;
    }

    /// Offers a service of the author's own beside the slots, as tonic generates it.
    /// `descriptors` is its encoded `FileDescriptorSet`, with all imports: what reflection and
    /// JSON need.
    #[must_use]
    pub fn service<S>(mut self, service: S, descriptors: &'static [u8]) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        self.services.push(S::NAME);
        self.descriptors.push(descriptors);
        self.register.push(Box::new(move |routes, _| {
            routes.add_service(service);
        }));
        self
    }

    /// Calls that are worked on at a time, 512 by default. Others wait up to five seconds and are
    /// refused with UNAVAILABLE then. A stream is a call until it ends.
    #[must_use]
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.limits.calls = calls.max(1);
        self
    }

    /// How long a call may take until its answer begins, 60 seconds by default, whatever its
    /// caller allows.
    #[must_use]
    pub fn call_timeout(mut self, limit: Duration) -> Self {
        self.limits.handler = limit;
        self
    }

    /// How long streams may go on after the plugin was asked to end, five seconds by default.
    #[must_use]
    pub fn stream_grace(mut self, limit: Duration) -> Self {
        self.limits.streams = limit;
        self
    }

    /// The slots that the plugin fills.
    pub(crate) fn slots(&self) -> &[&'static str] {
        &self.slots
    }

    /// Puts everything behind one service.
    pub(crate) fn assemble(
        self,
        live: &Live<P>,
        configure_from: Vec<u32>,
        probe_secret: &str,
        shutdown: &CancellationToken,
    ) -> (Front, Tracker) {
        let mut services = self.services;
        let mut routes = RoutesBuilder::default();
        for register in self.register {
            register(&mut routes, live);
        }
        services.push(PluginServiceServer::<Control<P>>::NAME);
        routes.add_service(PluginServiceServer::new(Control {
            live: live.clone(),
            slots: self.slots,
            configure_from,
        }));
        let known = services.clone();
        services.push(HealthServer::<Standard<P>>::NAME);
        routes.add_service(HealthServer::new(Standard {
            live: live.clone(),
            services: known,
            shutdown: shutdown.clone(),
        }));
        reflect(&mut routes, &self.descriptors, &services);
        let translation = Translation::new(&pool(&self.descriptors), &services, &self.limits);
        let guard = Guard::new(routes.routes().prepare(), self.limits, shutdown.clone());
        let tracker = guard.tracker().clone();
        (Front::new(guard, translation, probe_secret), tracker)
    }
}

fn reflect(routes: &mut RoutesBuilder, descriptors: &[&[u8]], services: &[&'static str]) {
    let configured = || {
        let mut builder = tonic_reflection::server::Builder::configure();
        for set in descriptors {
            builder = builder.register_encoded_file_descriptor_set(set);
        }
        for name in services {
            builder = builder.with_service_name(*name);
        }
        builder
    };
    routes.add_service(configured().build_v1().expect(DESCRIPTORS));
    routes.add_service(configured().build_v1alpha().expect(DESCRIPTORS));
}

fn pool(descriptors: &[&[u8]]) -> DescriptorPool {
    let mut pool = DescriptorPool::new();
    for set in descriptors {
        pool.decode_file_descriptor_set(*set).expect(DESCRIPTORS);
    }
    pool
}
