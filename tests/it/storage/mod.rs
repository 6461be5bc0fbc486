//! Where the journal is kept: faults of the storage through the real binary, and the store in PostgreSQL.

mod erasing;
mod faults;
mod faults_postgres;
pub mod postgres;
