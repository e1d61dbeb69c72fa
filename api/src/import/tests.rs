//! Imports of small files into installations of their own.
