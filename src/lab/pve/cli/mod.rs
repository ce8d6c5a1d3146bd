//! The command faces: `qm`, `pvesh`, `pvesm`, `pveversion`, `pvenode`, `ifreload`.
