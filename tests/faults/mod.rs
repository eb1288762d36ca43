//! What goes wrong, and what comes of it: the framework of all faults, then each fault.

mod clock;
mod containers;
mod framework;
mod machines;
mod mistakes;
mod network;
mod table;
mod world;
