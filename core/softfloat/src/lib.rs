//! tern-softfloat: IEEE arithmetic, bit-exact on every host.
