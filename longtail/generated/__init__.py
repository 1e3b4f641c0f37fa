"""Sets that the package draws by itself."""
