//! Owns: saga definitions and the coordinator that carries work over several steps, or undoes it.
//! Imports: docket-schemas, docket-engine.
//! Never: sockets, disks, clocks; state of its own: a saga is an event stream.
