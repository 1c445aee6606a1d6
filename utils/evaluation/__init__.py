"""What docs/Accuracy.md is made of: a simulator of attention variants, studies, tables and plots."""
