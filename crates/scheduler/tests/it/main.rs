//! The scheduler on a real database and a real catalog, with an executor that does as told.

mod cancelling;
mod dispatching;
mod ending;
mod fake;
mod lake;
mod restarting;
mod warm_pool;
mod world;
