"""What tests share: real daemons, a proxy that cuts connections, waiting for states."""
