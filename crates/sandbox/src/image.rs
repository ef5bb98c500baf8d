//! Small images, built in memory.
