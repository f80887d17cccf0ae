"""What the API server does to a Service on its way to storage (semantics §1.5).

Plain objects in, plain objects out: no file, no clock, no randomness. Each step is a file of its
own, so that a reader who allocates does not load the rules.

    create: defaults -> update.synced -> allocator.create -> service.validate_service
    update: defaults -> update.kept -> allocator.update -> update.cleared -> validate_service

A write that fails in the allocator is answered with that error alone.
"""
