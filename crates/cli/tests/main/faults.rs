//! What the server does when what it stands on gives way: the disk, the database, its clients, its
//! settings, and at the end the process itself.

mod clients;
mod data;
mod disk;
mod identity;
mod nodes;
mod postgres;
mod proxy;
mod reread;
mod settings;
mod stale;
mod start;
mod stop;
