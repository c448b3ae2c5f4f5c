//! What is about folders: locks, and what is counted.
