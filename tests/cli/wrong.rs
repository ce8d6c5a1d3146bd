//! Wrong runbooks: each `wrong/*.yml` has its exact errors beside it in `wrong/*.stderr`.
