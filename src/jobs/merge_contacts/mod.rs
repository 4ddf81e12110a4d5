//! x
pub mod belongings;
pub mod gather;
pub mod look;
pub mod pair;
