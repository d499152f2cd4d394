"""What only a CUDA device can show. Skipped, with the reason, where torch sees none: `make gpu`."""

import pytest
import torch

#: For every module of this folder.
needs_cuda = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(),
        reason=f"torch {torch.__version__} sees no CUDA device (torch.cuda.is_available())",
    ),
]
