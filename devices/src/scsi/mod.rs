//! SCSI: targets and logical units, and what they are behind.

crate::models! {}
