from sandbox.sample_app.server import main

raise SystemExit(main())
