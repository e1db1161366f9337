//! Node-API surface of the datapath: converts and delegates.
