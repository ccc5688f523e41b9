"""What is kept reads as before: storage under a model."""

from hypothesis import settings
from tests.authority.storage import StorageMachine

TestStorage = StorageMachine.TestCase
TestStorage.settings = settings(max_examples=20)
