"""Path pickers, one file each."""
