//! What the engine tells about itself: latency histograms, the closing summary, the status page, and the layer that
//! turns `tracing` events into the same flat lines as everything else.
