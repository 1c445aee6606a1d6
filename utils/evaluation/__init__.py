"""What docs/Accuracy.md and docs/Perplexity.md are made of: a simulator of attention variants, studies, tables and plots, and a
language model whose attention is replaced, in NumPy and in PyTorch."""
