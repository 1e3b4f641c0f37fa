"""Data modules for Lightning's Trainer; each can be read without one."""

from longtail.data.cifar import CIFAR10LT, CIFAR100LT
from longtail.data.digits import DigitsLT
from longtail.data.file_data import Folder, Table

__all__ = ["CIFAR10LT", "CIFAR100LT", "DigitsLT", "Folder", "Table"]
