"""AutoTVM's logs: reading and writing its lines, its templates for ARM, MetaSchedule's database."""
