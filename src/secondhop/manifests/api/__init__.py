"""What the API server does to a Service on its way to storage (semantics §1.5).

Plain objects in, plain objects out: no file, no clock, no randomness. Each step is a file of its
own, so that a reader who allocates does not load the rules.

    create: default_service -> synced -> Allocator.create -> validate_service
    update: default_service -> synced -> kept -> Allocator.update -> cleared -> validate_service

A write that the allocator refuses is answered with that error alone; one that is refused later is
taken back with Allocator.revert, one that is stored ends with Allocator.commit.
"""
