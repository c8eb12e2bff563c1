//! USB: host controllers and the devices that plug into them.

crate::models! {}
