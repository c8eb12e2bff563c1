//! tern-decode: the instruction-table language.
