//! tern-core: the vocabulary of tern.
